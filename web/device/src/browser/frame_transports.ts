// How frames travel from a browser: over a WebSocket, or by long polling where those are blocked.

import { PROTOCOL } from "../protocol/frames.ts";
import { joinFrames, splitFrames } from "../protocol/polled_frames.ts";
import { FrameInbox } from "./frame_inbox.ts";

const CONVERSATION = "/v1/device/conversation";
const POLL = "/v1/device/poll";
const CONNECTION = "Lykeion-Connection";
const OPEN_MS = 20_000;
const POLL_MS = 60_000;
const SOON_MS = 1_000;

/** The connection has ended, or could not be made. */
export class Unavailable extends Error {
  override name = "Unavailable";
}

/** A WebSocket could not be opened; a browser does not say why. */
export class NoWebSocket extends Unavailable {
  override name = "NoWebSocket";
}

/** The gateway asks to come back after `seconds`. */
export class Later extends Unavailable {
  override name = "Later";

  constructor(readonly seconds: number) {
    super(`the gateway asks to come back after ${seconds} s`);
  }
}

export interface FrameTransport {
  readonly inbox: FrameInbox;
  send(data: Uint8Array): void;
  close(): void;
}

export class WebSocketTransport implements FrameTransport {
  readonly inbox = new FrameInbox();

  private constructor(private readonly socket: WebSocket) {
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => this.inbox.put(new Uint8Array(data as ArrayBuffer));
    socket.onclose = ({ reason }) => this.inbox.end(new Unavailable(reason || "the connection has ended"));
  }

  /** At `address`, an http or https URL. Throws NoWebSocket. */
  static async open(address: string, token: string): Promise<WebSocketTransport> {
    const url = address.replace(/^http/, "ws") + CONVERSATION;
    const socket = new WebSocket(url, [PROTOCOL, `bearer.${token}`]);
    const made = new WebSocketTransport(socket);
    const timer = setTimeout(() => socket.close(), OPEN_MS);
    const opened = new Promise<boolean>((resolve) => {
      socket.onopen = () => resolve(true);
      socket.onerror = () => resolve(false);
      socket.addEventListener("close", () => resolve(false));
    });
    const isOpen = await opened;
    clearTimeout(timer);
    if (!isOpen) throw new NoWebSocket(`${url}: no WebSocket could be opened`);
    return made;
  }

  send(data: Uint8Array): void {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(data as Uint8Array<ArrayBuffer>);
  }

  close(): void {
    this.socket.close();
  }
}

/** The same by requests. One waits for what the gateway has to say; what is to be sent meanwhile goes by another. */
export class PollTransport implements FrameTransport {
  readonly inbox = new FrameInbox();
  private readonly url: string;
  private readonly ended = new AbortController();
  private readonly out: Uint8Array[] = [];
  private name = "";
  private waiting: Promise<void> | undefined;
  private isBringing = false;

  constructor(
    address: string,
    private readonly token: string,
  ) {
    this.url = address + POLL;
  }

  send(data: Uint8Array): void {
    this.out.push(data);
    queueMicrotask(() => {
      if (!this.waiting) void this.listen();
      else void this.bring();
    });
  }

  close(): void {
    if (this.out.length && this.name) void this.exchange().catch(() => undefined);
    this.ended.abort();
    this.inbox.end(new Unavailable("the connection was closed"));
  }

  private async listen(): Promise<void> {
    while (!this.ended.signal.aborted) {
      this.waiting = this.receive();
      await this.waiting;
      void this.bring();
    }
  }

  private async receive(): Promise<void> {
    try {
      this.inbox.put(...(await this.exchange(this.ended.signal)));
    } catch (error) {
      this.ended.abort();
      this.inbox.end(error instanceof Error ? error : new Unavailable(String(error)));
    }
  }

  /** Frames that come back were taken after those of the request that waits: its answer is under way, then. */
  private async bring(): Promise<void> {
    if (!this.name || this.isBringing || !this.out.length || this.ended.signal.aborted) return;
    this.isBringing = true;
    const waiting = this.waiting;
    try {
      const frames = await this.exchange(this.ended.signal);
      if (frames.length) await Promise.race([waiting, new Promise((resolve) => setTimeout(resolve, SOON_MS))]);
      this.inbox.put(...frames);
    } catch (error) {
      this.ended.abort();
      this.inbox.end(error as Error);
    } finally {
      this.isBringing = false;
    }
    void this.bring();
  }

  /** Throws Later, Unavailable, FrameError. */
  private async exchange(signal?: AbortSignal): Promise<Uint8Array[]> {
    const headers: Record<string, string> = {
      "Authorization": `Bearer ${this.token}`,
      "Content-Type": "application/octet-stream",
    };
    if (this.name) headers[CONNECTION] = this.name;
    const body = joinFrames(this.out.splice(0)) as Uint8Array<ArrayBuffer>;
    const answer = await asked(this.url, { method: "POST", headers, body, cache: "no-store", keepalive: !signal }, signal);
    this.name = answer.headers.get(CONNECTION) ?? "";
    const frames = splitFrames(new Uint8Array(await answer.arrayBuffer()));
    if (!this.name) {
      this.inbox.put(...frames);
      throw new Unavailable("the gateway has ended the connection");
    }
    return frames;
  }
}

/** An answer of a gateway. Throws Later, Unavailable. */
export async function asked(url: string, request: RequestInit, signal?: AbortSignal): Promise<Response> {
  const late = AbortSignal.timeout(POLL_MS);
  let answer: Response;
  try {
    answer = await fetch(url, { ...request, signal: signal ? AbortSignal.any([signal, late]) : late });
  } catch (error) {
    throw new Unavailable(`${url}: ${String(error)}`);
  }
  if (answer.status === 429 || answer.status === 503) throw new Later(Number(answer.headers.get("Retry-After")) || 1);
  if (!answer.ok) throw new Unavailable(`${url}: the gateway answers ${answer.status}: ${(await answer.text()).slice(0, 200)}`);
  return answer;
}
