// The state machine of lykeion.v1, driven by steps that are plain JSON, as tests/device/transcript_machine.py does:
// tests/device/transcripts/README.md has the format. The built files are what is tested: they are what is served.
import * as v1 from "../../../src/lykeion/delivery/gateway/browser/lykeion.mjs";

const REFUSALS = { FrameError: "no-frame", NotInTurn: "not-in-turn", OldGateway: "old-gateway" };

export class TranscriptMachine {
  device = null;
  gateway = null;
  #resumed = null;

  /** What the step gives: its outputs, or `refused`; with the state of its side after it. */
  do(step) {
    const gives = this.#given(step);
    const state = step.side === "device" ? deviceState(this.device) : step.side === "gateway" ? gatewayState(this.gateway) : null;
    return state ? { ...gives, state } : gives;
  }

  #given(step) {
    try {
      return this[`${step.side}_${step.do}`](step);
    } catch (error) {
      if (!(error.name in REFUSALS)) throw error;
      return { refused: REFUSALS[error.name] };
    }
  }

  device_begin({ session, epoch, received, groups, first, kept, most }) {
    this.device = new v1.DeviceSession({ session: bytes(session), epoch, received, groups }, kept.map(read), first, most);
    return {};
  }

  device_hello() {
    return { frame: hex(this.device.hello()) };
  }

  device_cut() {
    this.device.open = false;
    return {};
  }

  device_put({ name, body }) {
    const { made, dropped } = this.device.put(name, v1.readCbor(bytes(body)));
    return { frame: hex(made), dropped: dropped.map((each) => each.number) };
  }

  device_receive({ frame }) {
    return { frame: hex(this.device.receive(read(frame))) };
  }

  device_on_disk({ number }) {
    this.device.onDisk(number);
    return {};
  }

  device_due() {
    return { frames: this.device.due().map(hex) };
  }

  gateway_resume({ hello, known, groups }) {
    const said = read(hello);
    const logs = new Map(Object.entries(groups).map(([name, [first, last]]) => [name, { first, last }]));
    const resumed = v1.resume(said, known && stateOf(known), logs);
    this.#resumed = [said, resumed];
    this.gateway = null;
    return { frame: hex(resumed.welcome), known: plain(resumed.state), is_new: resumed.isNew };
  }

  gateway_open({ kept }) {
    this.gateway = new v1.GatewaySession(...this.#resumed, kept.map(read));
    return {};
  }

  gateway_put({ name, body }) {
    return { frame: hex(this.gateway.put(name, v1.readCbor(bytes(body)))) };
  }

  gateway_receive({ frame }) {
    return { frame: hex(this.gateway.receive(read(frame))) };
  }

  gateway_on_disk({ number }) {
    this.gateway.onDisk(number);
    return {};
  }

  gateway_due() {
    return { frames: this.gateway.due().map(hex) };
  }

  codec_read({ data }) {
    const whole = bytes(data);
    const frame = v1.readFrame(whole);
    return { value: notation(v1.readCbor(whole)), written: shortened(v1.writeFrame(frame)) };
  }

  polling_split({ data }) {
    return { frames: v1.splitFrames(bytes(data)).map(hexOf) };
  }

  polling_join({ frames }) {
    return { data: hexOf(v1.joinFrames(frames.map(bytes))) };
  }
}

/** A value in JSON: a float by its bits, unless it is a whole number. */
export function notation(value) {
  if (typeof value === "bigint" || (Number.isInteger(value) && Math.abs(value) <= 2 ** 53 && !Object.is(value, -0))) {
    return { int: String(value) };
  }
  if (typeof value === "number") return { float: Number.isNaN(value) ? "nan" : bits(value) };
  if (value instanceof Uint8Array) return { bytes: shortened(value) };
  if (Array.isArray(value)) return value.map(notation);
  if (value === null || typeof value !== "object") return value;
  // entries are defined, not assigned: a key may be __proto__
  return { map: Object.fromEntries(Object.entries(value).map(([key, each]) => [key, notation(each)])) };
}

function deviceState(device) {
  return { ...ways(device), open: device.open, groups: { ...device.groups }, dropped_broadcasts: device.droppedBroadcasts };
}

function gatewayState(gateway) {
  return gateway && { ...ways(gateway), room: gateway.room };
}

function ways({ epoch, incoming, outgoing }) {
  const { taken, stored, limit } = incoming;
  const { first, next, limit: credit, kept } = outgoing;
  return { epoch, incoming: { taken, stored, limit }, outgoing: { first, next, limit: credit, kept: kept.map((each) => each.number) } };
}

function stateOf({ session, untold, ...numbers }) {
  const resets = untold.map(([epoch, [what, first, last, why]]) => [epoch, { what, first, last, why }]);
  return { session: bytes(session), ...numbers, untold: resets };
}

function plain({ session, untold, ...numbers }) {
  const resets = untold.map(([epoch, { what, first, last, why }]) => [epoch, [what, first, last, why]]);
  return { session: hexOf(session), ...numbers, untold: resets };
}

function read(frame) {
  return v1.readFrame(bytes(frame));
}

function hex(frame) {
  return frame && hexOf(v1.writeFrame(frame));
}

function hexOf(data) {
  return Buffer.from(data).toString("hex");
}

function bytes(text) {
  const whole = text.replaceAll(/\((..)\*(\d+)\)/g, (_, byte, count) => byte.repeat(Number(count)));
  return new Uint8Array(Buffer.from(whole, "hex"));
}

function shortened(data) {
  return Buffer.from(data)
    .toString("latin1")
    .replaceAll(/(.)\1{63,}|./gs, (run, byte) => {
      const one = run.charCodeAt(0).toString(16).padStart(2, "0");
      return byte === undefined ? one : `(${one}*${run.length})`;
    });
}

function bits(value) {
  const view = Buffer.alloc(8);
  view.writeDoubleBE(value);
  return view.toString("hex");
}
