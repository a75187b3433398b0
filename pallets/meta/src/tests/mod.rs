mod activation;
mod genesis;
mod publishing;
mod queries;
mod state;
