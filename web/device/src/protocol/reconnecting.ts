// When to come back, so that many devices that lost one gateway do not come back together.

const FIRST_S = 1;
const MOST_S = 300;

/** From 0 to 1, as Math.random. */
export type Chance = () => number;

/** Full jitter: anything up to a bound that doubles with each failure; and after what the server asked for. */
export function reconnectDelayS(failures: number, afterS: number, chance: Chance): number {
  const bound = Math.min(MOST_S, FIRST_S * 2 ** Math.min(failures, 20));
  return afterS + chance() * Math.max(bound, afterS);
}

/** A period, more or less by `part`. */
export function spreadS(periodS: number, chance: Chance, part = 0.3): number {
  return periodS * (1 - part + 2 * part * chance());
}
