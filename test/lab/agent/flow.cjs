// A connection that is kept busy while the network under it changes: a small message every few milliseconds, each one echoed.
"use strict";
const net = require("node:net");

const flows = new Map();

class Flow {
  constructor({ to, port, from, everyMs }) {
    this.sent = 0;
    this.echoed = 0;
    this.longestStallMs = 0;
    this.error = undefined;
    this.head = "";
    this.socket = net.connect({ host: to, port, localAddress: from, noDelay: true });
    this.socket.on("data", chunk => this.received(chunk));
    this.socket.on("error", error => { this.error = error.code; });
    this.socket.on("close", () => { this.error ??= "ECLOSED"; clearInterval(this.timer); });
    this.everyMs = everyMs;
  }

  async opened(timeoutMs) {
    await new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no connection within ${timeoutMs} ms`)), timeoutMs);
      this.onHead = () => { clearTimeout(timer); resolve(); };
      this.socket.once("close", () => { clearTimeout(timer); reject(new Error(`no connection: ${this.error}`)); });
    });
    this.lastEcho = performance.now();
    this.timer = setInterval(() => { this.sent++; this.socket.write("."); }, this.everyMs);
  }

  received(chunk) {
    let bytes = chunk.length;
    if (!this.saw) {
      this.head += chunk.toString("latin1");
      const end = this.head.indexOf("\n");
      if (end < 0) return;
      this.saw = JSON.parse(this.head.slice(0, end));
      bytes = this.head.length - end - 1;
      this.onHead();
      if (bytes === 0) return;
    }
    const now = performance.now();
    this.longestStallMs = Math.max(this.longestStallMs, now - this.lastEcho);
    this.lastEcho = now;
    this.echoed += bytes;
  }

  report() {
    // A stall that goes on counts as well.
    const stall = Math.max(this.longestStallMs, performance.now() - this.lastEcho);
    return { ...this.saw, sent: this.sent, echoed: this.echoed, longestStallMs: Math.round(stall), error: this.error };
  }
}

module.exports = {
  async flowOpen({ key, timeoutMs, ...target }) {
    const flow = new Flow(target);
    flows.set(key, flow);
    await flow.opened(timeoutMs);
    return flow.report();
  },
  async flowReport({ key }) { return flows.get(key).report(); },
  async flowClose({ key }) {
    const flow = flows.get(key);
    flows.delete(key);
    const report = flow.report();
    clearInterval(flow.timer);
    flow.socket.removeAllListeners("close");
    flow.socket.destroy();
    return report;
  },
};
