/** Everything that tests and the demo take from the lab. */
export type { BootHooks } from "./body";
export { Lab, sshArguments, type LabOptions, type SshAccess } from "./lab";
export { LabNode } from "./node";
export { Capture } from "./capture";
export { Flow, type FlowReport } from "./flow";
export { diffDumps, volatileSysctls } from "./dump";
export { ignoredFiles, type FileEntry } from "./files";
export { labPassword, type User } from "./machine";
export type { Packet } from "./pcap";
export { patience } from "./patience";
export { Child, CommandFailed, run, until, type RunOptions, type Running, type RunResult } from "./process";
export { removeLeftovers } from "./registry";
export { Relay, type RelayCount } from "./relay";
export { keygen, Sshd, type KeyType, type SshdCount, type SshdOptions } from "./sshd";
export { destination4, destination6, echoPorts, office, type OfficeOptions, type Topology } from "./topology";
export { icmpErrors, parsePing, ping, probe, probeMany, probeWithIcmp, seen, spoof, type PingOptions, type PingResult, type ProbeResult, type ProbeTarget, type Refusal, type Seen } from "./traffic";
