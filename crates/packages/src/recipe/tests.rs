use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::json;

use super::*;

fn packages(of: serde_json::Value) -> Packages {
    let mut all = json!({"type": "packages", "apt": [], "cargo": [], "gem": [], "go": [], "npm": [], "pip": []});
    all.as_object_mut().unwrap().extend(of.as_object().unwrap().clone());
    serde_json::from_value(all).unwrap()
}

fn script(of: serde_json::Value) -> String {
    let steps = recipes(&packages(of), &Indexes::default());
    assert_eq!(steps.len(), 1);
    steps.into_iter().map(|step| step.script).collect()
}

#[test]
fn steps_come_in_the_order_of_managers_and_only_where_there_are_packages() {
    let of = json!({"pip": ["a"], "apt": ["b"], "npm": ["c"], "gem": [], "go": ["example.com/d"], "cargo": ["e"]});
    let managers: Vec<_> =
        recipes(&packages(of), &Indexes::default()).into_iter().map(|step| step.manager.name()).collect();
    assert_eq!(managers, ["apt", "cargo", "go", "npm", "pip"]);
    assert!(recipes(&Packages::default(), &Indexes::default()).is_empty());
}

#[test]
fn pins_reach_each_manager_as_it_reads_them() {
    for (of, line) in [
        (json!({"apt": ["graphviz"]}), "--no-install-recommends -- graphviz\n"),
        (json!({"cargo": ["hyperfine@1.18.0"]}), "--root /usr/local --version 1.18.0 -- hyperfine\n"),
        (json!({"cargo": ["hyperfine"]}), "--root /usr/local -- hyperfine\n"),
        (json!({"gem": ["rails:7.1.0"]}), "--bindir /usr/local/bin rails:7.1.0\n"),
        (json!({"go": ["example.com/x/cmd/y@v1.2.0"]}), "go install example.com/x/cmd/y@v1.2.0\n"),
        (json!({"go": ["example.com/x/cmd/y"]}), "go install example.com/x/cmd/y@latest\n"),
        (json!({"npm": ["express@4.18.0", "@scope/x"]}), "--prefix /usr/local -- @scope/x express@4.18.0\n"),
        (json!({"pip": ["sqlalchemy==2.0.30"]}), "pip install -- sqlalchemy==2.0.30\n"),
        (json!({"pip": ["a>=1,<2", "b[c]"]}), "pip install -- 'a>=1,<2' 'b[c]'\n"),
    ] {
        let script = script(of);
        assert!(script.contains(line), "{line} is not in {script}");
    }
}

#[test]
fn what_could_be_an_option_or_a_command_is_neither() {
    let script = script(json!({"pip": ["--index-url=x", "a;touch /tmp/x", "$(id)"]}));
    assert!(script.ends_with("pip install -- '$(id)' 'a;touch /tmp/x'\n"), "{script}");
}

#[test]
fn every_script_is_one_that_bash_can_read() {
    let of = json!({"apt": ["a"], "cargo": ["b@1"], "gem": ["c"], "go": ["d"], "npm": ["e"], "pip": ["it's"]});
    let mut indexes = Indexes::default();
    indexes.settings.environment.push(("GOPROXY".into(), "https://go.example.com|direct".into()));
    for step in recipes(&packages(of), &indexes) {
        assert!(step.script.contains("export GOPROXY='https://go.example.com|direct'\n"));
        let mut bash = Command::new("bash").arg("-n").stdin(Stdio::piped()).spawn().unwrap();
        bash.stdin.take().unwrap().write_all(step.script.as_bytes()).unwrap();
        assert!(bash.wait().unwrap().success(), "{}", step.script);
    }
}

#[test]
fn the_scripts_say_what_is_looked_for_in_their_output() {
    assert!(BEFORE.contains(&format!("'{LACKS} %s\\n'")));
    assert!(BEFORE.contains(&format!("'{TOO_LONG} %s seconds: %s\\n'")));
}

#[test]
fn a_missing_manager_is_named_with_its_cure() {
    let text = missing(Manager::Gem, "gem").to_string();
    assert!(text.contains("`gem`") && text.contains("`ruby-dev`") && text.contains("base image"), "{text}");
}
