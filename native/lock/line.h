/* The wire of a lock and the inputs beside it: a GPIO chip through the kernel's second line interface
 * (linux/gpio.h, gpio_v2_*, Linux 5.10), or a file that records what would have happened. */
#ifndef FACED_LINE_H
#define FACED_LINE_H

#include <stdbool.h>

enum { INPUT_DOOR, INPUT_EXIT, INPUTS };

struct line_options {
  const char *chip;          /* /dev/gpiochip0, or NULL */
  const char *recorder;      /* file to record into, or NULL */
  const char *recorder_feed; /* FIFO with lines "door open", "exit pressed", or NULL */
  int output;                /* line of the lock */
  bool active_low;           /* the relay board switches on at a low level */
  bool fail_safe;            /* current holds the door locked; without it the door is open */
  int input[INPUTS];         /* lines of the door contact and the exit button, or -1 */
  bool input_active_low[INPUTS];
};

struct line {
  struct line_options options;
  int output_fd;
  int input_fd[INPUTS]; /* to be polled, or -1 */
};

/* Takes the lines, the lock's at rest (locked) from the first moment. 0, or -errno with *what naming the step. */
int line_open(struct line *line, const struct line_options *options, const char **what);

/* 0 or -errno. */
int line_set(struct line *line, bool unlocked);

/* The level of an input now: 1 active (door open, button pressed), 0, or -errno. */
int line_read_input(struct line *line, int input);

/* Reads what made the descriptor readable. Calls report for each change. 0 or -errno. */
int line_drain_input(struct line *line, int input, void (*report)(int input, bool active));

#endif
