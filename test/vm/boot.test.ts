import { afterAll, beforeAll, expect, test } from "vitest";
import { diffDumps } from "../lab";
import { setup, type Setup } from "../e2e/office";
import { expectBothUplinks } from "../e2e/traffic";

/* In short what test/e2e/boot.test.ts shows at length. */

let office: Setup;
beforeAll(async () => { office = await setup(); });
afterAll(async () => await office?.stop());

test("a reboot of a real router brings all of it back with no help, before there is any network", async () => {
  const { lab, stack } = office;
  await stack.up();
  const applied = await lab.dump();
  await lab.reboot();
  expect(diffDumps(applied, await lab.dump()).filter(line => !/^. files: \w+ \/run\//.test(line))).toEqual([]);
  const at = async (unit: string, what: string): Promise<number> => Number((await lab.router.sh('systemctl show -p "$2" --value "$1"', [unit, what])).stdout.trim());
  expect(await at("nvi", "ActiveEnterTimestampMonotonic")).toBeLessThan(await at("networking", "InactiveExitTimestampMonotonic"));
  await expectBothUplinks(lab);
});
