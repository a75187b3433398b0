// How the members of a network without sudo govern it, by @polkadot/api alone: `node governing.mjs WS_URL WASM`. They change a
// parameter of the Pact and upgrade the runtime to the one in the file WASM, each by a referendum, one vote a machine.
import { strict as assert } from "node:assert";
import { readFileSync } from "node:fs";
import { WsProvider } from "@polkadot/api";
import { hexToU8a, u8aConcat, u8aToHex } from "@polkadot/util";
import { xxhashAsU8a } from "@polkadot/util-crypto";
import {
  BLY,
  account,
  connect,
  decided,
  follow,
  goOnline,
  makeMembers,
  propose,
  registration,
  submit,
  the,
  vote,
} from "./common.mjs";

const [url, wasm] = process.argv.slice(2);
const api = await connect(url);
const node = new WsProvider(url);
const log = await follow(api);
const members = ["//Eve", "//Ferdie", "//One"].map(account);
const [eve, ferdie, one] = members;
const stranger = account("//Two");

const spec = api.runtimeVersion.specVersion.toNumber();
const former = api.consts.workers.heartbeatPeriod.toNumber();
const best = { best: true };

// Each of them binds a machine to their account, and shows that it runs.
const machineOf = (who) => `the machine of ${who.address}`;
await makeMembers(api, members.map((who) => [who, machineOf(who)]));

// A referendum on a parameter of the Pact, and one on the runtime. The code is noted as a preimage.
const quotaOf = ({ parameters }) => Number(parameters.find(({ name }) => name === "trust.newcomer_quota").value);
const before = await node.send("blyan_pact", []);
const quota = quotaOf(before) + 5;
const change = api.tx.pact.change([{ Trust: { NewcomerQuota: quota } }]);
const setCode = api.tx.system.setCode(u8aToHex(readFileSync(wasm)));
const onPact = await propose(api, { origin: { Dao: "Pact" }, call: change, by: eve });
const onRuntime = await propose(api, { origin: { system: "Root" }, call: setCode, by: one });

// Who has no machine has no vote, and no machine serves two accounts.
const voteOf = async (who, referendum, aye) => {
  const [{ events }] = await vote(api, referendum, [who], aye);
  const { ayes, nays } = the(events, "dao", "Voted", { referendum, who: who.address }).data;
  return [ayes.toNumber(), nays.toNumber()];
};
const takeMachineOf = (who) => submit(api, registration(api, stranger, machineOf(who)), stranger, best);
await assert.rejects(voteOf(stranger, onPact, true), /dao\.NotAMember/);
await assert.rejects(takeMachineOf(ferdie), /workers\.HardwareTaken/);

// A machine that votes again replaces its vote.
assert.deepEqual(await voteOf(ferdie, onRuntime, false), [0, 1]);
assert.deepEqual(await voteOf(ferdie, onRuntime, true), [1, 0]);

// One whose worker leaves serves no other account for a period either. Bound anew to its own, it votes on what is asked from
// then on.
await submit(api, api.tx.workers.leave(), ferdie, best);
await assert.rejects(takeMachineOf(ferdie), /workers\.HardwareTaken/);
const back = makeMembers(api, [[ferdie, machineOf(ferdie)]]);

// The Pact changes, and everybody can see to what.
await vote(api, onPact, [eve, one]);
const changed = await log.event("pact", "Changed");
const after = await node.send("blyan_pact", [changed.block]);
// By place: by its name, `hash` would be that of the event.
const [revision, hash] = changed.event.data;
assert.equal(quotaOf(after), quota);
assert.equal(after.revision, before.revision + 1);
assert.equal(after.hash, hash.toHex());
assert.notEqual(after.hash, before.hash);
assert.equal(after.boundsHash, before.boundsHash);
assert.equal(after.revision, revision.toNumber());
assert.equal(await decided(api, onPact), "Approved");

await back;
await assert.rejects(voteOf(ferdie, onRuntime, true), /dao\.BoundTooLate/);
assert.deepEqual(await voteOf(eve, onRuntime, true), [2, 0]);
assert.deepEqual(await voteOf(one, onRuntime, true), [3, 0]);

// The code is set, and the next block is the new runtime's. Its migrations take some blocks, which have no transactions.
const updated = await log.event("system", "CodeUpdated");
assert.equal(await decided(api, onRuntime), "Approved");
const started = await log.event("migrations", "UpgradeStarted");
const completed = await log.event("migrations", "UpgradeCompleted");
assert.equal(started.number, updated.number + 1);
for (let number = started.number; number <= completed.number; number += 1) {
  const { extrinsics } = (await api.rpc.chain.getBlock(await api.rpc.chain.getBlockHash(number))).block;
  const calls = extrinsics.map(({ method }) => `${method.section}.${method.method}`);
  assert.deepEqual(calls, ["timestamp.set"], `block ${number} is one of a migration`);
}

// A constant is another.
const [old, now] = await Promise.all([updated, completed].map(({ block }) => api.at(block)));
const version = await api.rpc.state.getRuntimeVersion(completed.block);
const length = now.consts.workers.heartbeatPeriod.toNumber();
assert.equal(version.specVersion.toNumber(), spec + 1);
assert.equal(old.consts.workers.heartbeatPeriod.toNumber(), former);
assert.equal(length, former / 2);

// The migration of one block has run, once.
const note = u8aToHex(u8aConcat(xxhashAsU8a("Workers", 128), xxhashAsU8a("PeriodChangedAt", 128)));
const noted = await node.send("state_getStorage", [note, completed.block]);
assert.equal(api.createType("u32", hexToU8a(noted)).toNumber(), started.number);
assert.equal((await old.query.workers.palletVersion()).toNumber(), 1);
assert.equal((await now.query.workers.palletVersion()).toNumber(), 2);

// And so has that of many: every worker is online, by a period of the new length.
const heartbeats = await old.query.workers.lastHeartbeat.entries();
assert.ok(heartbeats.length >= members.length);
assert.ok(log.all("migrations", "MigrationAdvanced").length > 0, "the migration took one step");
assert.equal(log.all("migrations", "MigrationCompleted").length, 1);
for (const [key, value] of heartbeats) {
  const last = 2 * value.unwrap().toNumber() + 1;
  const period = (await now.query.workers.lastHeartbeat(key.args[0])).unwrap().toNumber();
  assert.ok(period >= Math.min(last, Math.floor(started.number / length)));
  assert.ok(period <= Math.min(last, Math.floor(completed.number / length)));
}

// Everything goes on.
assert.equal(api.runtimeVersion.specVersion.toNumber(), spec + 1);
await goOnline(api, eve);
const paid = await submit(api, api.tx.balances.transferKeepAlive(stranger.address, BLY), one);
the(paid.events, "balances", "Transfer", { to: stranger.address, amount: BLY });

await node.disconnect();
await api.disconnect();
console.log("ok");
