mod changes;
mod genesis;
mod reading;
mod state;
