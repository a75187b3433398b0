//! The commands about bonds, referenda and the Pact, on a chain of one validator.

use blyan_chain::Key;
use blyan_e2e::{Node, blyan, folder};
use serde_json::{Value, json};
use tokio::{join, time::Instant};

const BLY: u128 = 1_000_000_000_000_000_000;

fn address(key: &str) -> String {
    Key::from_uri(key).unwrap().account().to_string()
}

fn bly(amount: u128) -> Value {
    json!((amount * BLY).to_string())
}

/// Runs a command against `node`, and reads its answer.
async fn told(node: &Node, arguments: &[&str]) -> Value {
    let text = blyan(&[arguments, &["--json", "--rpc", &node.rpc]].concat()).await.unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {text}"))
}

/// Runs a command against `node` that is to fail, and returns why.
async fn refused(node: &Node, arguments: &[&str]) -> String {
    blyan(&[arguments, &["--rpc", &node.rpc]].concat()).await.unwrap_err().to_string()
}

fn candidate<'a>(validators: &'a Value, account: &str) -> &'a Value {
    let mut all = validators["validators"].as_array().unwrap().iter();
    all.find(|one| one["account"] == account).unwrap_or_else(|| panic!("{account} is not in {validators}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn money_is_put_at_stake_and_a_referendum_proposed_from_the_command_line() {
    let base = folder();
    let node = &Node::tiny(base.path()).await.unwrap();
    let started = Instant::now();
    let (alice, bob, charlie) = (&address("//Alice"), &address("//Bob"), &address("//Charlie"));

    // What costs nothing to ask, and what is refused before anything is sent.
    let pact = told(node, &["pact"]).await;
    assert_eq!((&pact["network"]["kind"], &pact["revision"]), (&json!("local"), &json!(0)));
    let one = told(node, &["pact", "staking.min_self_bond"]).await;
    let expected = json!([{ "name": "staking.min_self_bond", "value": (1_000 * BLY).to_string(), "unit": "bly",
        "min": BLY.to_string(), "max": (1_000_000 * BLY).to_string() }]);
    assert_eq!(one["parameters"], expected);
    assert!(blyan(&["pact", "staking", "--rpc", &node.rpc]).await.unwrap().contains("1000 BLY"));
    let only_alice = told(node, &["validators"]).await;
    assert_eq!(only_alice["validators"].as_array().unwrap().len(), 1);
    assert_eq!(candidate(&only_alice, alice)["elected"], true);
    let error =
        refused(node, &["referendum", "propose", "--set", "staking.max_validators=999", "--key", "//Eve"]).await;
    assert!(error.contains("must be between 1 and 256"), "{error}");
    let error = refused(node, &["unbond", "withdraw", "--key", "//Dave"]).await;
    assert!(error.contains("nothing of") && error.contains("on its way back"), "{error}");

    // What the chain refuses, by its own names and words; beside it a referendum, which nobody decides yet.
    let low = ["stake", "validator", "999.5", "--key", "//Bob"];
    let nobody = ["delegate", &address("//Ferdie"), "20", "--key", "//Charlie"];
    let propose = ["referendum", "propose", "--set", "staking.max_validators=32", "--deposit", "--key", "//Eve"];
    let (low, nobody, proposed) = join!(refused(node, &low), refused(node, &nobody), told(node, &propose));
    assert!(low.contains("Staking::BelowMinSelfBond: The validator's own bond would be less"), "{low}");
    assert!(low.contains("staking.min_self_bond is 1000 BLY"), "{low}");
    assert!(nobody.contains("Staking::NotCandidate: The account is not a candidate. Choose one that is"), "{nobody}");
    assert_eq!((&proposed["referendum"], &proposed["track"]), (&json!(0), &json!("pact")));
    assert_eq!(proposed["call"]["arguments"], json!({ "changes": [{ "Staking": { "MaxValidators": 32 } }] }));

    let bond = ["stake", "validator", "2000", "--commission", "5%", "--key", "//Bob"];
    let vote = ["vote", "0", "aye", "--key", "//Dave"];
    let (bonded, vote) = join!(told(node, &bond), refused(node, &vote));
    assert_eq!((&bonded["account"], &bonded["bond"], &bonded["has_keys"]), (&json!(bob), &bly(2_000), &json!(false)));
    assert!(vote.contains("Dao::NotAMember: The account has no machine with a vote. Register a worker"), "{vote}");

    let delegate = ["delegate", bob, "100", "--auto-compound", "50%", "--key", "//Charlie"];
    let keys = ["stake", "keys", "--key", "//Bob"];
    let (delegated, keys) = join!(told(node, &delegate), told(node, &keys));
    assert_eq!((&delegated["delegated"], &delegated["auto_compound_percent"]), (&bly(100), &json!(50)));
    assert_eq!(keys["keys"].as_str().map(str::len), Some(2 + 2 * 64), "{keys}");
    let unbond = ["unbond", "delegation", bob, "40", "--key", "//Charlie"];
    let worker = ["stake", "worker", "10", "--key", "//Dave"];
    let (unbonded, worker) = join!(told(node, &unbond), told(node, &worker));
    assert_eq!((&unbonded["amount"], &worker["active"]), (&bly(40), &bly(10)));

    // All of it is shown.
    let ledger = told(node, &["stake", "show", charlie]).await;
    assert_eq!(ledger["bonds"]["delegation"]["active"], bly(60));
    let part = json!({ "amount": bly(40), "due": unbonded["due"] });
    assert_eq!(ledger["bonds"]["delegation"]["unbonding"], json!([part]));
    let shown = blyan(&["stake", "show", "--key", "//Bob", "--rpc", &node.rpc]).await.unwrap();
    assert!(shown.contains("2000 BLY own, 60 BLY delegated by 1, commission 5 %"), "{shown}");
    let validators = told(node, &["validators"]).await;
    let found = candidate(&validators, bob);
    assert_eq!((&found["own"], &found["delegated"], &found["delegators"]), (&bly(2_000), &bly(60), &json!(1)));
    assert_eq!((&found["has_keys"], &found["standing"]), (&json!(true), &json!("active")));
    let found = told(node, &["validators", bob]).await;
    assert_eq!(found["delegations"], json!([{ "account": charlie, "amount": bly(60) }]));
    let error = refused(node, &["validators", charlie]).await;
    assert!(error.contains("is no candidate"), "{error}");
    let error = refused(node, &["unbond", "withdraw", "--key", "//Charlie"]).await;
    assert!(error.contains("nothing of") && error.contains("the next part is due in era"), "{error}");

    let listed = told(node, &["referendum", "list"]).await;
    assert_eq!((&listed["referenda"][0]["referendum"], &listed["members"]), (&json!(0), &json!(0)));
    let referendum = told(node, &["referendum", "show", "0"]).await;
    assert_eq!((&referendum["track"], &referendum["ayes"]), (&json!("pact"), &json!(0)));
    assert_eq!(referendum["proposal_hash"], proposed["proposal_hash"]);
    assert_eq!(referendum["decision_deposit"], json!({ "account": address("//Eve"), "amount": bly(100) }));
    let shown = blyan(&["referendum", "show", "0", "--rpc", &node.rpc]).await.unwrap();
    assert!(shown.contains("Pact.change") && shown.contains("MaxValidators"), "{shown}");
    let error = refused(node, &["referendum", "show", "7"]).await;
    assert!(error.contains("there is no referendum 7"), "{error}");
    println!("all of it took {:?}", started.elapsed());
}
