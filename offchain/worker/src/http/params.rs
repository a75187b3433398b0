//! Reading a request's parameters, each with an error that names it.

use super::error::ApiError;
use serde_json::{Map, Value};

/// The parameters of a request. Each is taken out as it is read; what is left at the end does not exist.
#[derive(Debug)]
pub(super) struct Params {
    fields: Map<String, Value>,
}

fn wrong_type(name: &str, expected: &str, found: &Value) -> ApiError {
    let found = match found {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    ApiError::parameter("invalid_type", name, format!("Invalid type for '{name}': expected {expected}, got {found}."))
}

/// `value` is outside what `name` can be.
pub(super) fn invalid_value(name: &str, reason: impl std::fmt::Display) -> ApiError {
    ApiError::parameter("invalid_value", name, format!("Invalid value for '{name}': {reason}."))
}

/// `name` is known and not supported here.
pub(super) fn unsupported(name: &str, reason: impl std::fmt::Display) -> ApiError {
    ApiError::parameter("unsupported_parameter", name, format!("'{name}' is not supported: {reason}."))
}

impl Params {
    /// Reads a body that has to be a JSON object.
    pub(super) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        match serde_json::from_slice(body) {
            Ok(Value::Object(fields)) => Ok(Self { fields }),
            Ok(_) => Err(ApiError::bad_request("invalid_json", "The body is not a JSON object.")),
            Err(error) => Err(ApiError::bad_request("invalid_json", format!("The body is not JSON: {error}."))),
        }
    }

    /// Takes a parameter; null counts as missing.
    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.fields.remove(name).filter(|value| !value.is_null())
    }

    /// A parameter that has to be there.
    pub(super) fn required(&mut self, name: &str) -> Result<Value, ApiError> {
        self.take(name).ok_or_else(|| {
            ApiError::parameter("missing_required_parameter", name, format!("Missing required parameter: '{name}'."))
        })
    }

    /// A string that has to be there.
    pub(super) fn required_string(&mut self, name: &str) -> Result<String, ApiError> {
        match self.required(name)? {
            Value::String(text) => Ok(text),
            other => Err(wrong_type(name, "a string", &other)),
        }
    }

    /// A boolean; false when missing.
    pub(super) fn boolean(&mut self, name: &str) -> Result<bool, ApiError> {
        match self.take(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(other) => Err(wrong_type(name, "a boolean", &other)),
        }
    }

    /// A number between `min` and `max`.
    pub(super) fn number(&mut self, name: &str, min: f64, max: f64) -> Result<Option<f32>, ApiError> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let number = value.as_f64().ok_or_else(|| wrong_type(name, "a number", &value))?;
        if (min..=max).contains(&number) {
            Ok(Some(number as f32))
        } else {
            Err(invalid_value(name, format!("{number} is not between {min} and {max}")))
        }
    }

    /// A whole number between `min` and `max`.
    pub(super) fn integer(&mut self, name: &str, min: u64, max: u64) -> Result<Option<u64>, ApiError> {
        let Some(value) = self.take(name) else { return Ok(None) };
        if !value.is_number() {
            return Err(wrong_type(name, "an integer", &value));
        }
        match value.as_u64().filter(|number| (min..=max).contains(number)) {
            Some(number) => Ok(Some(number)),
            None => Err(invalid_value(name, format!("{value} is not a whole number between {min} and {max}"))),
        }
    }

    /// A seed: any 64-bit number, negative ones by their two's complement.
    pub(super) fn seed(&mut self, name: &str) -> Result<Option<u64>, ApiError> {
        let Some(value) = self.take(name) else { return Ok(None) };
        match value.as_u64().or_else(|| value.as_i64().map(|seed| seed as u64)) {
            Some(seed) => Ok(Some(seed)),
            None => Err(wrong_type(name, "a 64-bit integer", &value)),
        }
    }

    /// A string, or up to `most` of them.
    pub(super) fn strings(&mut self, name: &str, most: usize, longest: usize) -> Result<Vec<String>, ApiError> {
        let values = match self.take(name) {
            None => return Ok(Vec::new()),
            Some(Value::Array(values)) => values,
            Some(text @ Value::String(_)) => vec![text],
            Some(other) => return Err(wrong_type(name, "a string or an array of strings", &other)),
        };
        if values.len() > most {
            return Err(invalid_value(name, format!("{} are more than {most}", values.len())));
        }
        values
            .into_iter()
            .map(|value| match value {
                Value::String(text) if text.is_empty() || text.len() > longest => {
                    Err(invalid_value(name, format!("a sequence has 1 to {longest} bytes")))
                },
                Value::String(text) => Ok(text),
                other => Err(wrong_type(name, "a string or an array of strings", &other)),
            })
            .collect()
    }

    /// Takes a parameter that is accepted only with a value that changes nothing.
    pub(super) fn only(&mut self, name: &str, neutral: impl Fn(&Value) -> bool, reason: &str) -> Result<(), ApiError> {
        match self.take(name) {
            Some(value) if !neutral(&value) => Err(unsupported(name, reason)),
            _ => Ok(()),
        }
    }

    /// Takes parameters that say nothing about the answer.
    pub(super) fn ignore(&mut self, names: &[&str]) {
        for name in names {
            self.fields.remove(*name);
        }
    }

    /// Refuses what nobody asked for.
    pub(super) fn finish(self) -> Result<(), ApiError> {
        match self.fields.keys().next() {
            None => Ok(()),
            Some(name) => Err(ApiError::parameter(
                "unknown_parameter",
                name.chars().take(64).collect::<String>(),
                format!("Unknown parameter: '{}'.", name.chars().take(64).collect::<String>()),
            )),
        }
    }
}
