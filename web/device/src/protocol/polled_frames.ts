// Bodies of long polling: frames, each after its length as four bytes, most significant first.

import { joined } from "./cbor_writer.ts";
import { FrameError } from "./frame_error.ts";

export function joinFrames(frames: readonly Uint8Array[]): Uint8Array {
  return joined(frames.flatMap((frame) => [length(frame), frame]));
}

/** Throws FrameError for what is cut off. */
export function splitFrames(data: Uint8Array): Uint8Array[] {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const frames: Uint8Array[] = [];
  for (let place = 0; place < data.length; ) {
    const end = place + 4 + (place + 4 <= data.length ? view.getUint32(place) : data.length);
    if (end > data.length) throw new FrameError("frames that are cut off");
    frames.push(data.slice(place + 4, end));
    place = end;
  }
  return frames;
}

function length(frame: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, frame.length);
  return bytes;
}
