// lykeion.v1, the conversation of a device and its gateway: frames, and what each side does with them. No I/O, no DOM.

export { CborReader, MAX_DEPTH, readCbor, type Value } from "./protocol/cbor_reader.ts";
export { writeCbor } from "./protocol/cbor_writer.ts";
export { DeviceSession, OldGateway, type SessionRecord } from "./protocol/device_session.ts";
export { MAX_FRAME_BYTES, MAX_QUERY_BYTES, readFrame, writeFrame } from "./protocol/frame_codec.ts";
export { FrameError } from "./protocol/frame_error.ts";
export * from "./protocol/frames.ts";
export { GatewaySession, resume, type GroupLog, type Resumption, type SessionState } from "./protocol/gateway_session.ts";
export { Incoming, NotInTurn, Outgoing } from "./protocol/numbered_ways.ts";
export { joinFrames, splitFrames } from "./protocol/polled_frames.ts";
export { reconnectDelayS, spreadS } from "./protocol/reconnecting.ts";

// A browser as a device.
export { Device, SearchUnavailable, type DesiredState, type DeviceOptions, type FoundItem, type Query } from "./browser/browser_device.ts";
export { EventError, type Attribute, type EventFields, type EventKind } from "./browser/event_reports.ts";
export { StorageError } from "./browser/indexed_base.ts";
export type { DeviceMessage, Handler } from "./browser/live_connection.ts";
