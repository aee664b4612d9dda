/** Frames that have come and were not looked at, for one reader. */
export class FrameInbox {
  private readonly frames: Uint8Array[] = [];
  private ended: Error | undefined;
  private woken: (() => void) | undefined;
  private isWoken = false;

  put(...frames: Uint8Array[]): void {
    this.frames.push(...frames);
    this.wake();
  }

  /** No more will come, because of `error`. */
  end(error: Error): void {
    this.ended ??= error;
    this.wake();
  }

  /** Let the reader look up: there is something to send, perhaps. */
  wake(): void {
    this.isWoken = true;
    this.woken?.();
  }

  /** The next frame, or undefined after `waitMs` or `wake`. Throws what ended it. */
  async next(waitMs: number): Promise<Uint8Array | undefined> {
    if (!this.frames.length && !this.ended && !this.isWoken) await this.something(waitMs);
    this.isWoken = false;
    const frame = this.frames.shift();
    if (!frame && this.ended) throw this.ended;
    return frame;
  }

  private async something(waitMs: number): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    await new Promise<void>((resolve) => {
      this.woken = resolve;
      timer = setTimeout(resolve, waitMs);
    });
    clearTimeout(timer);
    this.woken = undefined;
  }
}
