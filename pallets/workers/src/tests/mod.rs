mod hardware;
mod heartbeats;
mod members;
mod queries;
mod registration;
mod standing;
mod state;
