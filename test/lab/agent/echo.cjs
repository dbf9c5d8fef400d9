// Echo service, TCP and UDP: says first, in one JSON line, whom it saw; then gives back what it gets.
"use strict";
const net = require("node:net");
const dgram = require("node:dgram");

const plain = address => (address && address.startsWith("::ffff:") ? address.slice(7) : address);
const serving = new Map();

function listenTcp(name, port, ipv6) {
  return new Promise((resolve, reject) => {
    const server = net.createServer({ noDelay: true }, socket => {
      const saw = { node: name, peer: plain(socket.remoteAddress), peerPort: socket.remotePort, local: plain(socket.localAddress), localPort: socket.localPort };
      socket.on("error", () => socket.destroy());
      socket.write(`${JSON.stringify(saw)}\n`);
      socket.pipe(socket);
    });
    server.once("error", reject);
    server.listen({ port, host: ipv6 ? "::" : "0.0.0.0", backlog: 4096 }, () => resolve(server));
  });
}

function listenUdp(name, port, address) {
  return new Promise((resolve, reject) => {
    const socket = dgram.createSocket({ type: address.includes(":") ? "udp6" : "udp4", recvBufferSize: 4 << 20 });
    socket.once("error", reject);
    socket.bind({ port, address, exclusive: true }, () => {
      socket.removeAllListeners("error");
      socket.on("error", () => undefined); // ICMP errors for answers that nobody wanted any more
      socket.on("message", (data, from) => {
        const saw = { node: name, peer: from.address, peerPort: from.port, local: address, localPort: port };
        socket.send([`${JSON.stringify(saw)}\n`, data], from.port, from.address, () => undefined);
      });
      resolve(socket);
    });
  });
}

async function once(key, start) {
  if (!serving.has(key)) serving.set(key, await start());
}

module.exports = {
  async listen({ name, ports, addresses, ipv6, proto }) {
    for (const port of ports) {
      if (proto !== "udp") await once(`tcp ${port}`, () => listenTcp(name, port, ipv6));
      for (const address of proto === "tcp" ? [] : addresses) await once(`udp ${address} ${port}`, () => listenUdp(name, port, address));
    }
  },
  async unlisten({ ports }) {
    for (const [key, server] of [...serving]) {
      if (!ports.includes(Number(key.split(" ").pop()))) continue;
      serving.delete(key);
      server.close();
    }
  },
};
