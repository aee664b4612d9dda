/** Bytes that are no frame of lykeion.v1, or a value that none can hold. */
export class FrameError extends Error {
  override name = "FrameError";
}
