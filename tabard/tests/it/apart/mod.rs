//! Server, gateway and node agent as three processes, as they run in production: how they join, what survives a
//! restart, and what holds when one of them is stopped, cut off or thrown out.

mod changes;
mod homes;
mod installation;
mod membership;
mod process;
mod services;
mod serving;
mod silence;
mod upstream;
