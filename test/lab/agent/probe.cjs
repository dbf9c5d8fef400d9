// One connection or datagram to an echo service, and what became of it.
"use strict";
const net = require("node:net");
const dgram = require("node:dgram");

const kinds = {
  ECONNREFUSED: "refused", ECONNRESET: "reset", EPIPE: "reset", ETIMEDOUT: "timeout",
  EHOSTUNREACH: "unreachable", ENETUNREACH: "unreachable", EACCES: "prohibited", EPERM: "prohibited", EMSGSIZE: "too big",
};

const failed = (error, started) => ({
  ok: false, error: kinds[error.code] || "other", errno: error.code, message: error.message, ms: performance.now() - started,
});
const payload = bytes => Buffer.alloc(bytes, "nvi-lab-");

function answer(line, echoed, wanted, started) {
  if (echoed !== wanted) return failed({ code: "EBADECHO", message: `${echoed} bytes of ${wanted} came back` }, started);
  return { ok: true, ms: performance.now() - started, ...JSON.parse(line) };
}

function tcp({ to, port, from, fromPort, timeoutMs, bytes }) {
  return new Promise(resolve => {
    const started = performance.now();
    const socket = net.connect({ host: to, port, localAddress: from, localPort: fromPort, noDelay: true });
    let head = "", echoed = -1;
    const finish = result => { clearTimeout(timer); resolve(result); socket.destroy(); };
    const timer = setTimeout(() => finish(failed({ code: "ETIMEDOUT", message: `no answer within ${timeoutMs} ms` }, started)), timeoutMs);
    socket.on("error", error => finish(failed(error, started)));
    socket.on("close", () => finish(failed({ code: "ECLOSED", message: "closed without an answer" }, started)));
    socket.on("connect", () => { if (bytes) socket.write(payload(bytes)); });
    socket.on("data", chunk => {
      if (echoed >= 0) echoed += chunk.length;
      else {
        head += chunk.toString("latin1");
        if (!head.includes("\n")) return;
        echoed = head.length - head.indexOf("\n") - 1;
      }
      // Close in the ordinary way, so that the routers' tables see a whole connection.
      if (echoed >= bytes) { socket.removeAllListeners("close"); socket.end(() => finish(answer(head.slice(0, head.indexOf("\n")), echoed, bytes, started))); }
    });
  });
}

function udp({ to, port, from, fromPort, timeoutMs, bytes }) {
  return new Promise(resolve => {
    const started = performance.now();
    const socket = dgram.createSocket(to.includes(":") ? "udp6" : "udp4");
    const finish = result => { clearTimeout(timer); resolve(result); try { socket.close(); } catch { /* closed by its error */ } };
    const timer = setTimeout(() => finish(failed({ code: "ETIMEDOUT", message: `no answer within ${timeoutMs} ms` }, started)), timeoutMs);
    socket.on("error", error => finish(failed(error, started)));
    socket.on("message", data => {
      const end = data.indexOf(10);
      finish(answer(data.toString("latin1", 0, end), data.length - end - 1, bytes || 1, started));
    });
    // Connected, because only then does the kernel report the ICMP errors that come back.
    const connect = () => socket.connect(port, to, error => {
      if (error) finish(failed(error, started));
      else socket.send(bytes ? payload(bytes) : "?", e => { if (e) finish(failed(e, started)); });
    });
    if (from || fromPort) socket.bind({ address: from, port: fromPort, exclusive: true }, connect);
    else connect();
  });
}

const defaults = { proto: "tcp", timeoutMs: 2000, bytes: 0 };
const one = target => (target.proto === "udp" ? udp : tcp)(target);

module.exports = {
  probe: args => one({ ...defaults, ...args }),

  /** Many, `atOnce` at a time, results in the order of the targets. */
  async probeMany({ targets, atOnce = 64, ...common }) {
    const results = new Array(targets.length);
    let next = 0;
    const worker = async () => {
      for (let i = next++; i < targets.length; i = next++) results[i] = await one({ ...defaults, ...common, ...targets[i] });
    };
    await Promise.all(Array.from({ length: atOnce }, worker));
    return results;
  },

  /** A datagram, or a TCP connection attempt, for which no answer is expected. */
  async fire({ to, port, fromPort, proto, data = "?" }) {
    if (proto === "udp") {
      const socket = dgram.createSocket(to.includes(":") ? "udp6" : "udp4");
      socket.on("error", () => undefined);
      await new Promise(resolve => socket.bind({ port: fromPort, exclusive: true }, resolve));
      await new Promise((resolve, reject) => socket.send(data, port, to, error => (error ? reject(error) : resolve())));
      socket.close();
      return;
    }
    const socket = net.connect({ host: to, port, localPort: fromPort });
    await new Promise(resolve => { socket.once("error", resolve); socket.once("connect", resolve); setTimeout(resolve, 100); });
    socket.destroy();
  },
};
