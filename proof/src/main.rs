//! `tabard-proof OLD NEW`: 0 nothing new is allowed, 1 something is (with a request), 2 no answer.

use policy::{Compiled, Contract};
use std::process::ExitCode;
use tabard_proof::{Proof, prove};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let files: Vec<String> = std::env::args().skip(1).collect();
    let [old, new] = files.as_slice() else {
        eprintln!("usage: CVC5=PATH tabard-proof OLD NEW");
        return ExitCode::from(2);
    };
    let answer = match (read(old), read(new)) {
        (Ok(old), Ok(new)) => prove(&old, &new).await,
        (Err(why), _) | (_, Err(why)) => Err(why),
    };
    match answer {
        Ok(Proof::NothingNew) => {
            println!("proved: nothing is allowed that was refused");
            ExitCode::SUCCESS
        }
        Ok(Proof::Counterexample { action, request }) => {
            println!("{action} is allowed anew, as in\n{request}");
            ExitCode::from(1)
        }
        Ok(Proof::NotInCedar(why)) | Err(why) => {
            eprintln!("no proof: {why}");
            ExitCode::from(2)
        }
    }
}

fn read(file: &str) -> Result<Compiled, String> {
    let bytes = std::fs::read(file).map_err(|error| format!("{file}: {error}"))?;
    let contract = Contract::parse(file, &bytes).and_then(Compiled::new);
    contract.map_err(|errors| {
        errors
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n")
    })
}
