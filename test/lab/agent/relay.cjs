// The way from the test's own namespace into the lab: takes connections on a socket that was opened outside and handed in
// (a socket stays in the namespace that it was made in), and dials the router from here.
"use strict";
const net = require("node:net");

const relays = new Map();

class Relay {
  constructor(server, { host, port }) {
    Object.assign(this, { server, host, port, opened: 0, failed: 0, toRouter: 0, fromRouter: 0, dark: false, cutAfter: undefined });
    this.pairs = new Set();
    this.held = new Set();
    server.allowHalfOpen = true; // what the creator of the socket chose does not travel with it
    server.on("connection", near => {
      this.opened++;
      if (this.dark) this.hold(near);
      else this.join(near);
    });
  }

  /** In a black hole the router never hears of a new connection. */
  hold(near) {
    this.held.add(near);
    near.on("error", () => this.held.delete(near));
    near.on("close", () => this.held.delete(near));
  }

  join(near) {
    const far = net.connect({ host: this.host, port: this.port, allowHalfOpen: true, noDelay: true });
    near.setNoDelay(true);
    const pair = { near, far };
    this.pairs.add(pair);
    far.once("connect", () => { far.wasConnected = true; });
    this.pass(pair, near, far, count => { this.toRouter += count; this.spend(count); });
    this.pass(pair, far, near, count => { this.fromRouter += count; });
  }

  /** Everything that one side does, the other side sees: data, the end of data, a reset. */
  pass(pair, from, to, count) {
    from.on("data", chunk => {
      count(chunk.length);
      if (!to.destroyed && !to.write(chunk)) from.pause();
    });
    to.on("drain", () => { if (!this.dark) from.resume(); });
    from.on("end", () => { if (!to.destroyed) to.end(); });
    from.on("error", () => {
      if (from === pair.far && !from.wasConnected) this.failed++;
      this.reset(to);
    });
    from.on("close", () => { if (pair.near.destroyed && pair.far.destroyed) this.pairs.delete(pair); });
  }

  reset(socket) { if (!socket.destroyed) socket.resetAndDestroy(); }

  spend(count) {
    if (this.cutAfter === undefined) return;
    this.cutAfter -= count;
    if (this.cutAfter <= 0) { this.cutAfter = undefined; this.cut(); }
  }

  cut() {
    const count = this.pairs.size + this.held.size;
    for (const near of [...this.held]) this.reset(near);
    for (const { near, far } of [...this.pairs]) { this.reset(near); this.reset(far); }
    return count;
  }

  blackhole(on) {
    this.dark = on;
    for (const { near, far } of this.pairs) for (const socket of [near, far]) on ? socket.pause() : socket.resume();
    for (const near of on ? [] : [...this.held]) { this.held.delete(near); this.join(near); }
  }

  report() {
    const { opened, failed, toRouter, fromRouter } = this;
    return { opened, failed, active: this.pairs.size + this.held.size, bytesToRouter: toRouter, bytesFromRouter: fromRouter };
  }
}

module.exports = {
  async relayStart({ key, ...target }, server) { relays.set(key, new Relay(server, target)); },
  async relayTarget({ key, host, port }) { Object.assign(relays.get(key), { host, port }); },
  async relayCut({ key }) { return relays.get(key).cut(); },
  async relayCutAfter({ key, bytes }) { relays.get(key).cutAfter = bytes; },
  async relayBlackhole({ key, on }) { relays.get(key).blackhole(on); },
  async relayReport({ key }) { return relays.get(key).report(); },
};
