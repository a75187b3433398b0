mod genesis;
mod heads;
mod registration;
mod state;
mod uses;
