// How a fifth account becomes a validator of a running network, earns, and leaves with its bond, by @polkadot/api alone:
// `node validator.mjs WS_URL`. The node at that URL validates and has no session keys yet.
import { strict as assert } from "node:assert";
import { u8aToHex } from "@polkadot/util";
import { BLY, account, connect, follow, held, submit, the, when } from "./common.mjs";

const MILLION = 1_000_000n;

const api = await connect(process.argv[2]);
const log = await follow(api);
const [eve, ferdie] = ["//Eve", "//Ferdie"].map(account);

const rules = (await api.query.pact.current()).unwrap().staking;
const bond = 50_000n * BLY;
const part = 20_000n * BLY;
const delegation = 7_654n * BLY + 321n;
const commission = 100_000n;

const stateOf = (block) => api.at(block);
const entryOf = (block) => log.until((entry) => entry.block === block);
const fundsOf = async (state, who) => (await state.query.system.account(who.address)).data;
const validatorsOf = async (session) => {
  const { block } = await log.event("session", "NewSession", { sessionIndex: session });
  return (await (await stateOf(block)).query.session.validators()).map(String).toSorted();
};

const start = await stateOf(api.genesisHash);
const four = (await start.query.session.validators()).map(String).toSorted();
assert.equal(four.length, 4);
assert.ok(!four.includes(eve.address));

// The node makes session keys, and the proof that they are their owner's.
const makeKeys = async (owner) => {
  const made = await api.rpc.author.rotateKeysWithOwner(u8aToHex(owner.publicKey));
  return ["keys", "proof"].map((field) => made.get(field).toHex());
};
const [keys, proof] = await makeKeys(eve);
const [foreignKeys, foreignProof] = await makeKeys(ferdie);

// What does not do is refused, by name.
const first = (await api.rpc.system.accountNextIndex(eve.address)).toNumber();
const refused = [
  [api.tx.session.setKeys(keys, "0x"), /session\.InvalidProof/],
  [api.tx.session.setKeys(keys, foreignProof), /session\.InvalidProof/],
  [api.tx.session.setKeys(foreignKeys, foreignProof), /session\.InvalidProof/],
  [api.tx.staking.validate(commission, rules.minSelfBond.toBigInt() - 1n), /staking\.BelowMinSelfBond/],
];
const refuse = ([tx, name], n) => assert.rejects(submit(api, tx, eve, { best: true, nonce: first + n }), name);
await Promise.all([
  ...refused.map(refuse),
  assert.rejects(
    submit(api, api.tx.staking.delegate(eve.address, delegation, 0), ferdie, { best: true }),
    /staking\.NotCandidate/,
  ),
]);

// Keys with their proof and a bond make a candidate, and others delegate to it.
const stand = [api.tx.session.setKeys(keys, proof), api.tx.staking.validate(commission, bond)];
await submit(api, api.tx.utility.batchAll(stand), eve, { best: true });
await submit(api, api.tx.staking.delegate(eve.address, delegation, 0), ferdie, { best: true });
const joined = await log.event("staking", "CandidateJoined", { validator: eve.address, bond, commission });
const delegated = await log.event("staking", "Delegated", { delegator: ferdie.address, validator: eve.address });
const bonded = await stateOf(delegated.block);
assert.equal(await held(bonded, eve, ["Staking", "Validator"]), bond);
assert.equal(await held(bonded, eve, ["Session", "Keys"]), bonded.consts.session.keyDeposit.toBigInt());
assert.equal(await held(bonded, ferdie, ["Staking", "Delegation"]), delegation);

// Sessions are planned one ahead, so the next that it can be in is the one after the next. Each is an era.
const eraOf = async ({ block }) => (await (await stateOf(block)).query.staking.activeEra()).toNumber();
const joins = (await eraOf(joined)) + 2;
assert.deepEqual(await validatorsOf(joins - 1), four);
assert.deepEqual(await validatorsOf(joins), [...four, eve.address].toSorted());

// It writes blocks. Those after the start of this era are paid, to its delegator too.
const shared = (await eraOf(delegated)) + 2;
await log.event("staking", "EraStarted", { era: shared });
await when(
  (callback) => api.derive.chain.subscribeNewHeads(callback),
  ({ author }) => author?.toString() === eve.address,
);

// It takes a part of the bond back, then leaves with the rest. All of it stays held until it is due.
const unbond = async (tx, amount) => {
  const { events, block } = await submit(api, tx, eve);
  const { due } = the(events, "staking", "Unbonded", { kind: "Validator", who: eve.address, amount }).data;
  const state = await stateOf(block);
  const last = (await state.query.staking.plannedEra()).toNumber();
  assert.equal(due.toNumber(), last + 1 + rules.unbonding.toNumber());
  assert.equal(await held(state, eve, ["Staking", "Validator"]), bond);
  return { due: due.toNumber(), last };
};
await unbond(api.tx.staking.unbond(part), part);
const { due, last } = await unbond(api.tx.staking.leave(), bond - part);
await assert.rejects(submit(api, api.tx.staking.withdraw("Validator"), eve), /staking\.NothingDue/);

// It stays in the set for as long as it is elected, and not longer.
assert.ok((await validatorsOf(last)).includes(eve.address));
assert.deepEqual(await validatorsOf(last + 1), four);

// What its blocks have earned is divided exactly: a commission, and the rest by stake.
const reward = await log.event("staking", "Rewarded", { validator: eve.address, who: ferdie.address });
const era = reward.event.data.era.toNumber();
const ended = await log.event("staking", "EraEnded", { era });
const exposure = (await (await stateOf(ended.block)).query.staking.exposures(era, eve.address)).unwrap();
const [own, total] = [exposure.own.toBigInt(), exposure.total.toBigInt()];
assert.equal(total, own + delegation);
const amountOf = async (who) => {
  const { event } = await log.event("staking", "Rewarded", { era, validator: eve.address, who: who.address });
  return event.data.amount.toBigInt();
};
const paid = [await amountOf(eve), await amountOf(ferdie)];
const [allBlocks, allReward] = [ended.event.data.blocks.toNumber(), ended.event.data.reward.toBigInt()];
const divide = (blocks) => {
  const given = (allReward * BigInt(blocks)) / BigInt(allBlocks);
  const kept = (given * commission) / MILLION;
  const earned = given - kept;
  return [kept + (earned * own) / total, (earned * delegation) / total];
};
const possible = Array.from({ length: allBlocks }, (_, n) => divide(n + 1));
assert.ok(
  possible.some((amounts) => amounts.every((amount, n) => amount === paid[n])),
  `${paid} is for no number of blocks up to ${allBlocks} of ${allReward}`,
);

// After the period the bond comes back, and the deposit for the keys with them. So does the delegation.
await log.event("staking", "EraStarted", { era: due });
const back = await submit(api, api.tx.staking.withdraw("Validator"), eve);
the(back.events, "staking", "Withdrawn", { kind: "Validator", who: eve.address, amount: bond });
const purged = await submit(api, api.tx.session.purgeKeys(), eve);
const undelegated = await log.event("staking", "Undelegated", { delegator: ferdie.address, amount: delegation });
await log.event("staking", "EraStarted", { era: undelegated.event.data.due.toNumber() });
const returned = await submit(api, api.tx.staking.withdraw("Delegation"), ferdie);
the(returned.events, "staking", "Withdrawn", { kind: "Delegation", who: ferdie.address, amount: delegation });

// Nothing is held any more, and what is there is what there was, without the fees that were paid, with the rewards, and with
// the author's share of the fees in its blocks.
const sum = (entries, field) => entries.reduce((sum, { event }) => sum + event.data[field].toBigInt(), 0n);
const authorOf = async ({ block }) => (await api.derive.chain.getHeader(block)).author.toString();
const settle = async (who, block) => {
  const { number } = await entryOf(block);
  const fees = sum(log.all("transactionPayment", "TransactionFeePaid", { who: who.address }, number), "actualFee");
  const rewards = sum(log.all("staking", "Rewarded", { who: who.address }, number), "amount");
  const splits = log.all("economy", "FeesSplit", {}, number);
  const authors = await Promise.all(splits.map(authorOf));
  const shares = sum(splits.filter((_, n) => authors[n] === who.address), "author");
  const before = await fundsOf(start, who);
  const after = await fundsOf(await stateOf(block), who);
  assert.equal(after.reserved.toBigInt(), 0n);
  assert.equal(after.free.toBigInt(), before.free.toBigInt() - fees + rewards + shares);
  assert.ok(fees > 0n && rewards > 0n);
};
await settle(eve, purged.block);
await settle(ferdie, returned.block);

await api.disconnect();
console.log("ok");
