// A browser's identity: a key pair that no script can read, and a short-lived credential that it renews.

import { asked } from "./frame_transports.ts";
import type { ConversationStore } from "./conversation_store.ts";
import type { Attribute } from "./event_reports.ts";

const RENEW_BEFORE_S = 600;

interface Credential {
  device: string;
  token: string;
  /** In seconds since 1970. */
  expires: number;
}

/** `enrolment` gives a one-time token; it is asked for once. */
export class BrowserIdentity {
  constructor(
    private readonly store: ConversationStore,
    private readonly address: string,
    private readonly enrolment: () => Promise<string> | string,
    private readonly attributes: { [name: string]: Attribute },
  ) {}

  /** One that is valid for a while, renewed if need be. Throws Later, Unavailable. */
  async credential(): Promise<string> {
    const known = await this.store.record<Credential>("credential");
    if (known && known.expires - Date.now() / 1_000 >= RENEW_BEFORE_S) return known.token;
    const made = known ? await this.renewed(known.device) : await this.enrolled();
    await this.store.keep("credential", made);
    return made.token;
  }

  /** The key is kept before it is sent: after an error the same may be repeated. */
  private async enrolled(): Promise<Credential> {
    const { publicKey } = (await this.key()) ?? (await this.newKey());
    const raw = new Uint8Array(await crypto.subtle.exportKey("raw", publicKey));
    return this.ask("/v1/device/enrol", {
      token: await this.enrolment(),
      public_key: hexOf(raw),
      attributes: this.attributes,
    });
  }

  private async renewed(device: string): Promise<Credential> {
    const key = await this.key();
    if (!key) throw new Error("this browser has lost its key");
    const at = Math.floor(Date.now() / 1_000);
    const said = new TextEncoder().encode(`lykeion device renewal\n${device}\n${at}`);
    const signature = hexOf(new Uint8Array(await crypto.subtle.sign("Ed25519", key.privateKey, said)));
    return this.ask("/v1/device/renew", { device, at, signature });
  }

  private async ask(path: string, body: object): Promise<Credential> {
    const headers = { "Content-Type": "application/json" };
    const answer = await asked(this.address + path, { method: "POST", headers, body: JSON.stringify(body) });
    return (await answer.json()) as Credential;
  }

  private key(): Promise<CryptoKeyPair | undefined> {
    return this.store.record<CryptoKeyPair>("key");
  }

  private async newKey(): Promise<CryptoKeyPair> {
    const made = (await crypto.subtle.generateKey("Ed25519", false, ["sign", "verify"])) as CryptoKeyPair;
    await this.store.keep("key", made);
    return made;
  }
}

function hexOf(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
