//! Calls in words: what a proposal would do, by the names that the chain's metadata has for it.

use crate::{AccountId, ChainError, Result, State};
use scale_info::{PortableRegistry, TypeDef, TypeDefPrimitive};
use serde_json::{Map, Value as Json};
use subxt::ext::scale_value::{Composite, Primitive, Value, ValueDef, Variant, scale::decode_as_type};

/// Most bytes of a sequence that are written out; of a longer one, such as a runtime, its length and hash are.
const MAX_BYTES: usize = 64;
/// Largest number that every reader of JSON reads exactly.
const MAX_NUMBER: u128 = (1 << 53) - 1;

/// A call by its names.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct DecodedCall {
    /// The pallet.
    pub pallet: String,
    /// The call.
    pub call: String,
    /// Its arguments by their names. Accounts are addresses, other bytes hexadecimal; numbers beyond 53 bits are text.
    pub arguments: Json,
}

impl State {
    /// The call with this encoding, by the names that the runtime at this block has for it.
    ///
    /// # Errors
    /// [`ChainError::Decode`] when the runtime has no such call.
    pub fn decode_call(&self, bytes: &[u8]) -> Result<DecodedCall> {
        let metadata = &*self.runtime().facts().metadata;
        decode(bytes, metadata.outer_enums().call_enum_ty(), metadata.types())
    }
}

fn decode(bytes: &[u8], calls: u32, types: &PortableRegistry) -> Result<DecodedCall> {
    let undecodable = |reason: String| ChainError::Decode { what: "a call", reason };
    let cursor = &mut &*bytes;
    let value = decode_as_type(cursor, calls, types).map_err(|error| undecodable(error.to_string()))?;
    if !cursor.is_empty() {
        return Err(undecodable(format!("{} bytes follow it", cursor.len())));
    }
    // A pallet's variant around a call's variant.
    let named = |value: Value<u32>| {
        let ValueDef::Variant(Variant { name: pallet, values }) = value.value else { return None };
        let ValueDef::Variant(Variant { name: call, values }) = values.into_values().next()?.value else { return None };
        Some(DecodedCall { pallet, call, arguments: Names(types).composite(values) })
    };
    named(value).ok_or_else(|| undecodable("it is no call of a pallet".to_owned()))
}

/// Names values after the types that they are of.
struct Names<'a>(&'a PortableRegistry);

impl Names<'_> {
    fn json(&self, value: Value<u32>) -> Json {
        if let Some(account) = self.account(&value) {
            return Json::String(account.to_string());
        }
        match value.value {
            ValueDef::Composite(Composite::Unnamed(values)) if self.is_list(value.context) => self.list(values),
            ValueDef::Composite(values) => self.composite(values),
            ValueDef::Variant(Variant { name, values }) if values.is_empty() => Json::String(name),
            ValueDef::Variant(Variant { name, values }) => {
                Json::Object(Map::from_iter([(name, self.composite(values))]))
            },
            ValueDef::BitSequence(bits) => Json::Array(bits.iter().map(Json::Bool).collect()),
            ValueDef::Primitive(primitive) => scalar(primitive),
        }
    }

    fn composite(&self, values: Composite<u32>) -> Json {
        match values {
            Composite::Named(fields) => {
                Json::Object(fields.into_iter().map(|(name, value)| (name, self.json(value))).collect())
            },
            // A type around another, such as a share or a bounded list: that it is one says nothing.
            Composite::Unnamed(mut values) if values.len() == 1 => {
                values.pop().map_or(Json::Null, |value| self.json(value))
            },
            Composite::Unnamed(values) => self.list(values),
        }
    }

    fn list(&self, values: Vec<Value<u32>>) -> Json {
        match self.bytes(&values) {
            Some(bytes) => Json::String(shown(&bytes)),
            None => Json::Array(values.into_iter().map(|value| self.json(value)).collect()),
        }
    }

    /// Whether a type is of any number of values, or of many of the same.
    fn is_list(&self, id: u32) -> bool {
        let ty = self.0.resolve(id);
        ty.is_some_and(|ty| matches!(ty.type_def, TypeDef::Sequence(_) | TypeDef::Array(_)))
    }

    /// The bytes, if these are any, and nothing else.
    fn bytes(&self, values: &[Value<u32>]) -> Option<Vec<u8>> {
        let is_byte = |id: u32| {
            let ty = self.0.resolve(id)?;
            matches!(ty.type_def, TypeDef::Primitive(TypeDefPrimitive::U8)).then_some(())
        };
        if values.is_empty() {
            return None;
        }
        let byte = |value: &Value<u32>| match value.value {
            ValueDef::Primitive(Primitive::U128(number)) => {
                is_byte(value.context)?;
                u8::try_from(number).ok()
            },
            _ => None,
        };
        values.iter().map(byte).collect()
    }

    /// The account, if this is one.
    fn account(&self, value: &Value<u32>) -> Option<AccountId> {
        let ty = self.0.resolve(value.context)?;
        if ty.path.segments.last().is_none_or(|name| name != "AccountId32") {
            return None;
        }
        let ValueDef::Composite(Composite::Unnamed(inner)) = &value.value else { return None };
        let ValueDef::Composite(Composite::Unnamed(bytes)) = &inner.first()?.value else { return None };
        Some(AccountId::from(<[u8; 32]>::try_from(self.bytes(bytes)?).ok()?))
    }
}

fn shown(bytes: &[u8]) -> String {
    if bytes.len() <= MAX_BYTES {
        return format!("0x{}", hex::encode(bytes));
    }
    format!("{} bytes, BLAKE2b-256 0x{}", bytes.len(), hex::encode(blyan_primitives::hash::blake2_256(bytes)))
}

fn scalar(primitive: Primitive) -> Json {
    match primitive {
        Primitive::Bool(value) => Json::Bool(value),
        Primitive::Char(value) => Json::String(value.to_string()),
        Primitive::String(value) => Json::String(value),
        Primitive::U128(value) if value <= MAX_NUMBER => {
            u64::try_from(value).map_or_else(|_| Json::String(value.to_string()), Json::from)
        },
        Primitive::U128(value) => Json::String(value.to_string()),
        Primitive::I128(value) => i64::try_from(value).map_or_else(|_| Json::String(value.to_string()), Json::from),
        Primitive::U256(value) | Primitive::I256(value) => Json::String(format!("0x{}", hex::encode(value))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Call, GovernanceCall, StakingCall, encode, runtime::tests::built_in};
    use blyan_primitives::pact::Parameter;
    use serde_json::json;

    fn decoded(call: impl Into<Call>) -> DecodedCall {
        let runtime = built_in();
        let bytes = encode::call_bytes(&runtime, &call.into()).unwrap();
        let metadata = &*runtime.facts().metadata;
        decode(&bytes, metadata.outer_enums().call_enum_ty(), metadata.types()).unwrap()
    }

    #[test]
    fn calls_are_named_with_their_arguments() {
        let changes = vec![
            Parameter::parse("staking.max_validators", 9).unwrap(),
            Parameter::parse("staking.min_self_bond", 10u128.pow(21)).unwrap(),
        ];
        let change = decoded(GovernanceCall::ChangePact { changes });
        assert_eq!((change.pallet.as_str(), change.call.as_str()), ("Pact", "change"));
        let both =
            json!([{ "Staking": { "MaxValidators": 9 } }, { "Staking": { "MinSelfBond": "1000000000000000000000" } }]);
        assert_eq!(change.arguments, json!({ "changes": both }));
        let changes = vec![Parameter::parse("economy.fee_burn", 7).unwrap()];
        let one = decoded(GovernanceCall::ChangePact { changes });
        assert_eq!(one.arguments, json!({ "changes": [{ "Economy": { "FeeBurn": 7 } }] }), "a list of one is a list");

        let account = AccountId::from([9; 32]);
        let spend = decoded(GovernanceCall::Spend { to: account, amount: 5 });
        assert_eq!(spend.arguments, json!({ "to": account.to_string(), "amount": 5 }));
        let cancel = decoded(StakingCall::CancelSlash { slash: 7 });
        assert_eq!((cancel.call.as_str(), cancel.arguments), ("cancel_slash", json!({ "slash": 7 })));
    }

    #[test]
    fn of_long_bytes_the_hash_is_told() {
        let code = vec![7; 1_000];
        let hash = hex::encode(blyan_primitives::hash::blake2_256(&code));
        let upgrade = decoded(GovernanceCall::SetCode { code });
        assert_eq!(upgrade.arguments, json!({ "code": format!("1000 bytes, BLAKE2b-256 0x{hash}") }));
    }

    #[test]
    fn what_is_no_call_is_refused() {
        let runtime = built_in();
        let metadata = &*runtime.facts().metadata;
        let refused = |bytes: &[u8]| decode(bytes, metadata.outer_enums().call_enum_ty(), metadata.types()).is_err();
        assert!(refused(&[]) && refused(&[255, 0]) && refused(&[0, 255]));
        let mut call = encode::call_bytes(&runtime, &StakingCall::Chill.into()).unwrap();
        call.push(0);
        assert!(refused(&call));
    }
}
