// The lab's agent: runs inside one namespace and answers the requests of agent.ts, over node's own channel to its parent.
"use strict";

const commands = {
  ...require("./echo.cjs"),
  ...require("./probe.cjs"),
  ...require("./flow.cjs"),
  ...require("./relay.cjs"),
};

process.on("message", async ({ id, command, args }, handle) => {
  try {
    const value = await commands[command](args, handle);
    process.send({ id, value });
  } catch (error) {
    process.send({ id, error: error && error.stack ? error.stack : String(error) });
  }
});

process.on("disconnect", () => process.exit(0));
// A socket that fails late must not take all others with it; whoever asked has its own time-out.
process.on("uncaughtException", error => process.stderr.write(`${error.stack}\n`));
