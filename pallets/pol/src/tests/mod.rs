mod disputes;
mod evaluators;
mod phases;
mod reveals;
mod sets;
mod support;
