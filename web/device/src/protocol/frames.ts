// The frames of lykeion.v1: docs/protocol.md says what they mean.

import type { Value } from "./cbor_reader.ts";

export const PROTOCOL = "lykeion.v1";

export type Groups = { [group: string]: number };

/** What was lost: of `what` the numbers `first` to `last`, and `why`. */
export interface Reset {
  what: string;
  first: number;
  last: number;
  why: string;
}

export interface HelloFrame {
  kind: "hello";
  session: Uint8Array;
  epoch: number;
  received: number;
  first: number;
  next: number;
  limit: number;
  groups: Groups;
}

export interface WelcomeFrame {
  kind: "welcome";
  epoch: number;
  received: number;
  first: number;
  limit: number;
  groups: Groups;
  resets: Reset[];
}

export interface MessageFrame {
  kind: "message";
  number: number;
  name: string;
  body: Value;
}

export interface AckFrame {
  kind: "ack";
  number: number;
  limit: number;
}

export interface DesiredFrame {
  kind: "desired";
  revision: number;
  body: Value;
}

export interface BroadcastFrame {
  kind: "broadcast";
  group: string;
  number: number;
  body: Value;
}

export interface QueryFrame {
  kind: "query";
  id: number;
  body: Value;
}

export interface AnswerFrame {
  kind: "answer";
  id: number;
  part: number;
  last: boolean;
  body: Value;
}

export interface CancelFrame {
  kind: "cancel";
  id: number;
}

export interface PresenceFrame {
  kind: "presence";
  body: Value;
}

export interface ByeFrame {
  kind: "bye";
  why: string;
  after_s: number;
}

export type Frame =
  | HelloFrame | WelcomeFrame | MessageFrame | AckFrame | DesiredFrame | BroadcastFrame | QueryFrame | AnswerFrame
  | CancelFrame | PresenceFrame | ByeFrame;
