//! The shipped binary: the command line as scripts meet it, and a running installation as attackers meet it.

#[cfg(test)]
mod adversary;
#[cfg(test)]
mod apart;
#[cfg(test)]
mod command_line;
#[cfg(test)]
mod contract_review;
