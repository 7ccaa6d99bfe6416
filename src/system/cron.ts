import { schedule } from 'node-cron';
import type { Timetable } from '../pipeline/jobs.js';

/** node-cron, in the machine's own time zone. It keeps no process alive. */
export const cronTimetable: Timetable = {
  plan: (expression, onDue) => {
    // Whether two runs overlap, and what was missed, is for Jobs to say.
    const task = schedule(expression, onDue, { unref: true, suppressMissedWarning: true });
    return {
      next: () => task.getNextRun()?.getTime() ?? null,
      stop: () => void task.destroy(),
    };
  },
};
