// A gateway client that knows nothing but RFC 6455 and JSON.

import WebSocket from 'ws';

import { SOON, within } from './wait.mjs';

export const INTENTS = {
  guilds: 1 << 0,
  members: 1 << 1,
  messages: 1 << 9,
  typing: 1 << 11,
  directMessages: 1 << 12,
  directTyping: 1 << 14,
  content: 1 << 15,
};

export class Gateway {
  #frames = [];
  #waiters = new Set();

  /** Connects; resolves when the upgrade is done. */
  static async open(origin, query = 'v=10&encoding=json') {
    const gateway = new Gateway();
    const url = `${origin.replace('http', 'ws')}/gateway?${query}`;
    gateway.socket = new WebSocket(url, { handshakeTimeout: SOON, perMessageDeflate: false });
    gateway.seq = null;
    gateway.closed = new Promise((resolve) => {
      gateway.socket.on('close', (code, reason) => {
        gateway.end = { code, reason: reason.toString() };
        gateway.#wake();
        resolve(gateway.end);
      });
    });
    gateway.socket.on('message', (data, binary) => gateway.#receive(data.toString(), binary));
    const opened = new Promise((resolve, reject) => {
      gateway.socket.once('open', resolve);
      gateway.socket.once('error', reject);
    });
    await within(opened, 'the upgrade');
    gateway.socket.on('error', () => {});
    return gateway;
  }

  #receive(text, binary) {
    const frame = { ...JSON.parse(text), text, binary };
    if (frame.op === 0) this.seq = frame.s;
    this.#frames.push(frame);
    this.#wake();
  }

  #wake() {
    for (const waiter of this.#waiters) waiter();
  }

  send(op, d) {
    this.socket.send(JSON.stringify({ op, d }));
  }

  /** Ends the connection as a lost network does: no close frame. */
  cut() {
    this.socket.terminate();
  }

  /** Closes as a client that is done. */
  async close() {
    this.socket.close(1000);
    await within(this.closed, 'the close');
  }

  /**
   * Takes frames in order until one pleases, and gives it. Those before it are passed over, unless
   * `strict`: then the very next one has to please.
   */
  async next(pleases, what, { ms = SOON, strict = false } = {}) {
    let waiter;
    const came = new Promise((resolve, reject) => {
      // Several frames may arrive before a promise is looked at: who is served leaves at once, or
      // it would eat what comes next.
      const settle = (how, value) => {
        this.#waiters.delete(waiter);
        how(value);
      };
      waiter = () => {
        while (this.#frames.length > 0) {
          const frame = this.#frames.shift();
          if (pleases(frame)) return settle(resolve, frame);
          if (strict) {
            return settle(reject, new Error(`instead of ${what}: ${frame.text.slice(0, 300)}`));
          }
        }
        if (this.end) {
          settle(reject, new Error(`closed with ${JSON.stringify(this.end)} before ${what}`));
        }
      };
      this.#waiters.add(waiter);
      waiter();
    });
    return within(came, what, ms).finally(() => this.#waiters.delete(waiter));
  }

  op(op, options) {
    return this.next((frame) => frame.op === op, `op ${op}`, options);
  }

  dispatch(name, pleases = () => true, options = {}) {
    return this.next((frame) => frame.t === name && pleases(frame.d), name, options);
  }

  /** All dispatches up to and including the first that pleases. */
  async until(pleases, what) {
    const seen = [];
    await this.next((frame) => {
      if (frame.op === 0) seen.push(frame);
      return pleases(frame);
    }, what);
    return seen;
  }

  /** HELLO, IDENTIFY, READY; gives the READY frame. */
  async identify(token, intents, more = {}) {
    this.hello = await this.op(10);
    const properties = { os: 'linux', browser: 'test', device: 'test' };
    this.send(2, { token, intents, properties, ...more });
    this.ready = await this.dispatch('READY');
    return this.ready;
  }

  async closeCode() {
    return (await within(this.closed, 'the server to close')).code;
  }
}

/** An identified client. */
export async function identified(origin, token, intents, more) {
  const gateway = await Gateway.open(origin);
  await gateway.identify(token, intents, more);
  return gateway;
}
