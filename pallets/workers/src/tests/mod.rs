mod bonds;
mod hardware;
mod heartbeats;
mod queries;
mod registration;
mod state;
