// What becomes of validators that equivocate, by @polkadot/api alone: `node equivocation.mjs WS_URL`, the URL being that of a
// validator that does not. It asks its caller by lines to run a second node with the keys of another.
import { strict as assert } from "node:assert";
import { BLY, account, connect, decided, follow, held, makeMembers, nextHead, propose, submit, the, vote, when } from "./common.mjs";

const BILLION = 1_000_000_000n;
const MILLION = 1_000_000n;

const api = await connect(process.argv[2]);
const log = await follow(api);
const [alice, bob, charlie, dave, ferdie] = ["//Alice", "//Bob", "//Charlie", "//Dave", "//Ferdie"].map(account);
const members = ["//Eve", "//One", "//Two"].map(account);

const pact = (await api.query.pact.current()).unwrap();
const delegations = new Map([
  [bob, 12_345n * BLY + 678_901n],
  [charlie, 1_111n * BLY + 1n],
]);

const stateOf = ({ block }) => api.at(block);
const eraOf = async (entry) => (await (await stateOf(entry)).query.staking.activeEra()).toNumber();
const validatorsOf = async (session) => {
  const entry = await log.event("session", "NewSession", { sessionIndex: session });
  return (await (await stateOf(entry)).query.session.validators()).map(String).toSorted();
};
const addresses = (...accounts) => accounts.map(({ address }) => address).toSorted();
const bondOf = (state, who) => held(state, who, ["Staking", "Validator"]);
const delegatedBy = (state, who) => held(state, who, ["Staking", "Delegation"]);
const delegatedTo = async (state, validator) =>
  (await state.query.staking.delegations(validator.address, ferdie.address)).unwrap().amount.toBigInt();

// Machines that can vote later, and somebody who delegates to both who are going to equivocate.
const online = makeMembers(api, members.map((who) => [who, `the machine of ${who.address}`]));
let nonce = (await api.rpc.system.accountNextIndex(ferdie.address)).toNumber();
await Promise.all(
  [...delegations].map(([validator, amount]) =>
    submit(api, api.tx.staking.delegate(validator.address, amount, 0), ferdie, { best: true, nonce: nonce++ }),
  ),
);
const isDelegated = (validator) =>
  log.event("staking", "Delegated", { delegator: ferdie.address, validator: validator.address });
const delegated = await Promise.all([bob, charlie].map(isDelegated));
// What is delegated counts from the election that follows: of the era after the next.
const counts = Math.max(...(await Promise.all(delegated.map(eraOf)))) + 2;
await log.event("staking", "EraStarted", { era: counts });
await online;

// What the nodes report of a validator, and what is announced for it.
const announcement = async (who) => {
  const entry = await log.event("staking", "SlashAnnounced", { who: who.address });
  const { slash, charge, applyAt } = entry.event.data;
  const { era, fraction } = charge.asValidator;
  const reported = await eraOf(entry);
  assert.equal(applyAt.toNumber(), reported + pact.staking.dispute.toNumber() + 1);
  assert.ok(era.toNumber() >= counts && era.toNumber() <= reported);
  // It is a transaction that nobody signed: nodes make it of what they saw.
  const { extrinsics } = (await api.rpc.chain.getBlock(entry.block)).block;
  const reports = extrinsics.filter(({ method }) => method.method === "reportEquivocationUnsigned");
  assert.ok(reports.length > 0 && reports.every(({ isSigned }) => !isSigned), "no node has reported it");
  assert.ok(log.all("offences", "Offence").some(({ block }) => block === entry.block), "no offence is on record");
  const exposure = (await (await stateOf(entry)).query.staking.exposures(era, who.address)).unwrap();
  const loss = (amount) => (amount * fraction.toBigInt()) / BILLION;
  return { entry, slash, applyAt: applyAt.toNumber(), reported, fraction: fraction.toBigInt(), exposure, loss };
};

// Bob runs twice. One of four that equivocates is to lose (3/4)² of what is at stake with it.
console.log("second bob");
const bobs = await announcement(bob);
assert.equal(bobs.fraction, (BILLION * 9n) / 16n);
await log.event("session", "ValidatorDisabled", { validator: bob.address });
await log.event("staking", "Chilled", { validator: bob.address });
await assert.rejects(submit(api, api.tx.staking.activate(), bob, { best: true }), /staking\.SlashPending/);

// It is out of the set as soon as sessions, which are planned one ahead, can be without it.
assert.deepEqual(await validatorsOf(bobs.reported + 1), addresses(alice, bob, charlie, dave));
assert.deepEqual(await validatorsOf(bobs.reported + 2), addresses(alice, charlie, dave));

// When the time for disputes is over, it and its delegator lose the same part of what each was exposed with, and nobody else
// loses anything.
const before = await stateOf(bobs.entry);
const lose = async () => {
  const applied = await log.event("staking", "SlashApplied", { slash: bobs.slash });
  assert.equal(await eraOf(applied), bobs.applyAt);
  const after = await stateOf(applied);
  const [own, delegation] = [await bondOf(before, bob), delegations.get(bob)];
  assert.equal(bobs.exposure.own.toBigInt(), own);
  assert.equal(bobs.exposure.total.toBigInt(), own + delegation);
  const losses = [bobs.loss(own), bobs.loss(delegation)];
  const slashed = log.all("staking", "Slashed").map(({ event }) => event);
  assert.equal(slashed.length, 2);
  the(slashed, "staking", "Slashed", { slash: bobs.slash, kind: "Validator", who: bob.address, amount: losses[0] });
  the(slashed, "staking", "Slashed", { slash: bobs.slash, kind: "Delegation", who: ferdie.address, amount: losses[1] });
  const all = losses[0] + losses[1];
  assert.equal(applied.event.data.amount.toBigInt(), all);
  assert.equal(await bondOf(after, bob), own - losses[0]);
  assert.equal(await delegatedTo(after, bob), delegation - losses[1]);
  assert.equal(await delegatedTo(after, charlie), delegations.get(charlie));
  assert.equal(await delegatedBy(after, ferdie), (await delegatedBy(before, ferdie)) - losses[1]);
  for (const who of [alice, charlie, dave]) assert.equal(await bondOf(after, who), await bondOf(before, who));
  const split = log.all("economy", "SlashSplit").map(({ event }) => event);
  const treasury = (all * pact.economy.slashTreasury.toBigInt()) / MILLION;
  the(split, "economy", "SlashSplit", { treasury, burnt: all - treasury });
};

// Charlie runs twice. One of three would lose everything, were it not that members cancel the slash in time. Who has no
// machine has no say in it.
const cancel = async () => {
  // With two nodes that write in the same slots, a head may not have what the one before had: each is looked at anew.
  let slash;
  while (!slash) {
    const pending = await api.query.staking.pendingSlashes.entries();
    slash = pending.find(([, found]) => found.unwrap().who.eq(charlie.address))?.[0].args[0];
    if (!slash) await nextHead(api);
  }
  const call = api.tx.staking.cancelSlash(slash);
  const index = await propose(api, { origin: { Dao: "CancelSlash" }, call, by: members[0] });
  const strangers = assert.rejects(vote(api, index, [alice]), /dao\.NotAMember/);
  await Promise.all([vote(api, index, members), strangers]);
  assert.equal(await decided(api, index), "Approved");
  const cancelled = await log.event("staking", "SlashCancelled", { slash });
  const charlies = await announcement(charlie);
  assert.equal(charlies.fraction, BILLION);
  assert.ok(slash.eq(charlies.slash) && (await eraOf(cancelled)) < charlies.applyAt);
  return charlies;
};

// Early in an era, so that the members have most of it beside the time that they are sure to have.
await when(api.query.staking.activeEra, (era) => era.gten(bobs.applyAt));
console.log("second charlie");
const [charlies] = await Promise.all([cancel(), lose()]);

// It leaves the set all the same. When the slash would have been applied nothing is taken, and it can stand for election again.
assert.deepEqual(await validatorsOf(charlies.reported + 2), addresses(alice, dave));
await log.event("staking", "EraStarted", { era: charlies.applyAt });
await when(api.query.staking.nextSlashEra, (era) => era.gtn(charlies.applyAt));
const active = await submit(api, api.tx.staking.activate(), charlie);
the(active.events, "staking", "Activated", { validator: charlie.address });
const end = await stateOf(active);
assert.equal(await bondOf(end, charlie), await bondOf(before, charlie));
assert.equal(await delegatedTo(end, charlie), delegations.get(charlie));
assert.equal(log.all("staking", "Slashed").length, 2);

await api.disconnect();
console.log("ok");
