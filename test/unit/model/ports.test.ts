import { describe, expect, it } from "vitest";
import { formatPorts, parsePorts, parseService, portCount, PROTOCOLS } from "../../../provider/model/ports";
import { random } from "./random";

describe("ports", () => {
    it("come back from their text, every single one", () => {
        for (let port = 1; port <= 65535; port++) expect(parsePorts(formatPorts({ first: port, last: port }))).toEqual({ first: port, last: port });
    });

    it("come back as ranges, and are counted", () => {
        const { below, pick } = random(1);
        for (let i = 0; i < 3000; i++) {
            const first = 1 + below(65535);
            const last = first + below(65536 - first);
            expect(parseService(`${pick(PROTOCOLS)}/${formatPorts({ first, last })}`)).toMatchObject({ ports: { first, last } });
            expect(portCount({ first, last })).toBe(last - first + 1);
            if (last > first) expect(parsePorts(`${last}-${first}`)).toContain("upside down");
        }
    });

    it.each(["", "0", "65536", "99999", "-1", "1-", "-", "1-2-3", "1,2", " 1", "1\n", "1.0", "0x1", "1e3", "１"])("%j are none", (text) => expect(typeof parsePorts(text)).toBe("string"));
    it.each(["", "/", "tcp", "tcp/", "/80", "TCP/80", "tcp/80/81", "tcp /80", "icmp/8", "tcp-udp/53", "tc/80", "constructor/80"])("%j is no service", (text) => expect(typeof parseService(text)).toBe("string"));
});
