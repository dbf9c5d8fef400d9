// The agent on a machine of its own: requests and answers are lines of JSON on stdin and stdout.
"use strict";
globalThis.performance = globalThis.performance || require("perf_hooks").performance;

process.send = message => process.stdout.write(`${JSON.stringify(message)}\n`);
require("./main.cjs");

require("readline").createInterface({ input: process.stdin })
  .on("line", line => process.emit("message", JSON.parse(line)))
  .on("close", () => process.exit(0));
