import { describe, expect, it } from "vitest";
import { pathChecks, wordsOf, type PathCheck } from "../../../provider/model/path-check";

const words = (check: object): string[] => wordsOf(pathChecks.parse([check])[0]!);

describe("a check, as the router is told it", () => {
    it.each<[object, string[]]>([
        [{ kind: "ping", to: "192.0.2.1" }, ["check", "ping 192.0.2.1", "5", "ping", "192.0.2.1"]],
        [{ kind: "ping", to: "192.0.2.1", from: "lan0", within: 9 }, ["check", "ping 192.0.2.1 from lan0", "9", "ping", "192.0.2.1", "lan0"]],
        [{ kind: "connect", to: "2001:db8::1", port: 443 }, ["check", "connect to 2001:db8::1 port 443", "5", "connect", "2001:db8::1", "443"]],
        [{ kind: "leaves", to: "192.0.2.1", by: "isp1" }, ["check", "packets to 192.0.2.1 leave by isp1", "5", "leaves", "isp1", "any", "any", "192.0.2.1"]],
        [{ kind: "leaves", to: "192.0.2.1", from: "198.51.100.2", ingress: "nvi0p", by: "isp1", source: "198.51.100.2", name: "stage 2" }, ["check", "stage 2", "5", "leaves", "isp1", "198.51.100.2", "nvi0p", "192.0.2.1", "from", "198.51.100.2"]],
        [{ kind: "command", command: "systemctl is-active bird" }, ["check", "the command systemctl", "5", "command", "systemctl is-active bird"]],
        [{ kind: "command", command: "TOKEN=hunter2 curl -f https://192.0.2.1" }, ["check", "the command of a check", "5", "command", "TOKEN=hunter2 curl -f https://192.0.2.1"]],
    ])("%j", (check, expected) => expect(words(check)).toEqual(expected));

    it("has no empty word, and none of more than one", () => {
        const all: PathCheck[] = pathChecks.parse([{ kind: "command", command: "echo 'a  b' | grep \"c\"" }]);
        for (const word of all.flatMap(wordsOf)) expect(word).toMatch(/^[^\t\n]+$/);
    });
});
