mod disputes;
mod evaluators;
mod hidden;
mod phases;
mod reveals;
mod sets;
mod support;
