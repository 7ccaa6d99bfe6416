import type { Board } from './board.js';
import { readBoard } from './board.js';

/** Longest time for the programs that are asked. */
const PATIENCE_MS = 4000;

/** What other programs (lspci, dmidecode) say of a machine, beyond what files say. */
export interface Hardware {
  /** By maker and model, as the firmware has it; null when it says nothing. */
  readonly model: string | null;
  /** Graphics adapters by name. */
  readonly graphics: readonly string[];
}

/**
 * Asks systeminformation, which runs programs, some of them while the whole process stands still: a tenth of a second to
 * seconds. So only `faced doctor` asks; the daemon's choices, and the checks that it shows on its page, follow from files. Only names are taken of what it knows: it has serial numbers too.
 */
export async function readHardware(): Promise<Hardware> {
  // By its default: in the bundle a CommonJS package has no other names.
  const { default: machine } = await import('systeminformation');
  const [{ manufacturer, model }, { controllers }] = await Promise.all([
    machine.system(),
    machine.graphics(),
  ]);
  const name = [manufacturer, model].filter((part) => part !== '').join(' ');
  return {
    model: name === '' ? null : name,
    graphics: controllers.map((one) => one.model).filter((one) => one !== ''),
  };
}

/** The board by its files, and where they leave out what it is called or what draws its pictures, by other programs. */
export async function lookAtBoard(
  root = '/',
  { arch, ask = readHardware }: { readonly arch?: string; readonly ask?: () => Promise<Hardware> } = {},
): Promise<Board> {
  const board = readBoard(root, arch);
  if (board.model !== null && board.accelerators.length > 0) return board;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(resolve, PATIENCE_MS, null);
  });
  // A machine that does not let programs look is described by its files.
  const hardware = await Promise.race([ask().catch(() => null), late]).finally(() => clearTimeout(timer));
  if (hardware === null) return board;
  return {
    ...board,
    model: board.model ?? hardware.model,
    accelerators: board.accelerators.length > 0 ? board.accelerators : hardware.graphics,
  };
}
