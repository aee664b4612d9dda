// The service's HTTP interface, as far as the page uses it.

/** A product: one of an answer has a score, one of a sample has none. */
export interface Answer {
  id: string;
  score?: number;
  photo: string;
  attributes: Record<string, unknown>;
  thumbnail: string | null;
}

export interface Answers {
  results: Answer[];
  next_offset?: number | null;
  vector?: number[];
  by?: string | null;
}

export interface Stats {
  products: number;
  metric: "cosine" | "l2";
  columns: Record<string, string>;
  searches_photos: boolean;
}

/** A refusal or failure, with the service's own line. */
export class ServiceError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

const PLACE = "lykeion-token";

/** Take the token from the fragment, which never leaves the browser, out of sight and into this tab's storage. */
export function takeTokenFromFragment(): void {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (token) {
    keepToken(token);
    history.replaceState(history.state, "", location.pathname);
  }
}

export function keepToken(token: string): void {
  sessionStorage.setItem(PLACE, token);
}

/** Paths are relative to this program, wherever a proxy has put it. */
export async function ask<T>(path: string, body?: object | FormData, signal?: AbortSignal): Promise<T> {
  return (await request(path, body, signal)).json() as Promise<T>;
}

export async function picture(path: string, signal?: AbortSignal): Promise<Blob> {
  return (await request(path, undefined, signal)).blob();
}

async function request(path: string, body?: object | FormData, signal?: AbortSignal): Promise<Response> {
  const headers = new Headers();
  const token = sessionStorage.getItem(PLACE);
  if (token) headers.set("Authorization", `Bearer ${token}`);
  if (body && !(body instanceof FormData)) {
    headers.set("Content-Type", "application/json");
    body = JSON.stringify(body) as unknown as object;
  }
  let response: Response;
  try {
    response = await fetch(new URL(path, import.meta.url), { method: body ? "POST" : "GET", body: body as BodyInit | undefined, headers, signal });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ServiceError(0, "The service does not answer.");
  }
  if (!response.ok) {
    const answer = (await response.json().catch(() => ({}))) as { error?: string };
    throw new ServiceError(response.status, answer.error ?? `The service answered ${response.status}.`);
  }
  return response;
}
