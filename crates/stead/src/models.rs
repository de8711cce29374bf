//! The model routes of the configuration, and those that the environment implies.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use anyhow::Context;
use brain::{Route, Routes};
use context::Policy;
use futures::StreamExt;
use futures::stream::BoxStream;
use model::script::Script;
use model::{
    Client, Error, Event, Http, Key, Options, Request, SetupError, anthropic, openai_chat, openai_responses, script,
};

use crate::config::{self, Config, Model, Prices, Provider};

const ANTHROPIC: &str = "https://api.anthropic.com";
const OPENAI: &str = "https://api.openai.com/v1";

/// The most tokens of an answer, where the configuration does not say.
const MAX_TOKENS: u32 = 16_384;

pub(crate) fn routes(config: &Config) -> anyhow::Result<Routes> {
    let http = Http::new().context("the HTTP client could not start")?;
    let mut routes = Vec::new();
    for model in &config.models {
        routes.push(match model.provider {
            Provider::Script => {
                Route { pattern: model.r#match.clone(), ..scripts(config.scripts_dir.clone(), Some(model)) }
            }
            _ => route(model, &http)?,
        });
    }
    // Behind what is configured for scripts, such as a price.
    routes.push(scripts(config.scripts_dir.clone(), None));
    if config.models.is_empty() {
        routes.extend(implied(&http)?);
    }
    Routes::new(routes).context("a model route's match is not a glob")
}

fn route(model: &Model, http: &Http) -> anyhow::Result<Route> {
    let key =
        match &model.api_key_env {
            Some(name) => Some(variable(name).with_context(|| {
                format!("the model route {} wants its key in {name}, which is not set", model.r#match)
            })?),
            None => None,
        };
    let base_url = model.base_url.clone().unwrap_or_else(|| match model.provider {
        Provider::Anthropic => ANTHROPIC.into(),
        Provider::OpenaiChat | Provider::OpenaiResponses | Provider::Script => OPENAI.into(),
    });
    let takes_effort = model.effort.unwrap_or(model.base_url.is_none());
    Ok(Route {
        pattern: model.r#match.clone(),
        client: client(model.provider, base_url, key, http)
            .with_context(|| format!("the model route {}", model.r#match))?,
        model: model.model.clone(),
        price: model.prices.as_ref().map(price),
        // An answer that may fill the whole window leaves no room for a question.
        max_tokens: model.max_tokens.unwrap_or(MAX_TOKENS).min(model.window.map_or(u32::MAX, |window| window / 4)),
        takes_effort,
        system_messages: model.system_messages,
        policy: policy(model.context.unwrap_or_default(), model.window.or(window(model.provider))),
        only: Vec::new(),
    })
}

/// What every model of the provider holds, where the configuration does not say. Beyond it the provider itself says when a
/// conversation has become too long.
fn window(provider: Provider) -> Option<u32> {
    (provider == Provider::Anthropic).then_some(200_000)
}

fn policy(context: config::Context, window: Option<u32>) -> Policy {
    let share = |share: f64| (share > 0.0).then_some(share);
    Policy {
        compact_at: share(context.compact_at),
        clear_at: share(context.clear_at),
        keep_results: context.keep_results,
        window: window.map(u64::from),
    }
}

/// Without `[[models]]`: the keys that are in the environment.
fn implied(http: &Http) -> anyhow::Result<Vec<Route>> {
    let sources = [
        ("claude-*", Provider::Anthropic, "ANTHROPIC_API_KEY", "STEAD_ANTHROPIC_BASE_URL", ANTHROPIC),
        ("*", Provider::OpenaiChat, "OPENAI_API_KEY", "STEAD_OPENAI_BASE_URL", OPENAI),
    ];
    let mut routes = Vec::new();
    for (pattern, provider, key, base, default) in sources {
        let Some(key) = variable(key) else { continue };
        let given = variable(base);
        let takes_effort = given.is_none();
        let client = client(provider, given.unwrap_or_else(|| default.into()), Some(key), http).context(base)?;
        let (pattern, max_tokens) = (pattern.to_owned(), MAX_TOKENS);
        routes.push(Route {
            pattern,
            client,
            model: None,
            price: None,
            max_tokens,
            takes_effort,
            system_messages: None,
            policy: policy(config::Context::default(), window(provider)),
            only: Vec::new(),
        });
    }
    Ok(routes)
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn client(
    provider: Provider,
    base_url: String,
    key: Option<String>,
    http: &Http,
) -> Result<Arc<dyn Client>, SetupError> {
    let options = Options::new(http.clone(), base_url).with_key(key.map(Key::new));
    Ok(match provider {
        Provider::Anthropic => Arc::new(anthropic::Anthropic::new(options)?),
        Provider::OpenaiChat => Arc::new(openai_chat::OpenaiChat::new(options)?),
        // Scripts have no endpoint, and a client of their own.
        Provider::OpenaiResponses | Provider::Script => Arc::new(openai_responses::OpenaiResponses::new(options)?),
    })
}

fn price(price: &Prices) -> brain::Price {
    // Dollars to millionths of a dollar: exact for any price that a provider writes down.
    let micro = |dollars: f64| (dollars * 1_000_000.0).round() as u64;
    brain::Price {
        input: micro(price.input),
        output: micro(price.output),
        cache_read: micro(price.cache_read.unwrap_or(price.input * 0.1)),
        cache_write: micro(price.cache_write.unwrap_or(price.input * 1.25)),
    }
}

/// `script/<name>` is always the scripted model.
fn scripts(dir: Option<PathBuf>, model: Option<&Model>) -> Route {
    let mut only: Vec<String> = script::builtin_names().map(|name| format!("script/{name}")).collect();
    only.extend(dir.as_deref().map(names).unwrap_or_default());
    Route {
        pattern: "script/*".into(),
        client: Arc::new(Scripts { dir, loaded: Mutex::default() }),
        model: None,
        price: model.and_then(|model| model.prices.as_ref()).map(price),
        max_tokens: MAX_TOKENS,
        takes_effort: false,
        system_messages: model.and_then(|model| model.system_messages),
        policy: policy(model.and_then(|model| model.context).unwrap_or_default(), model.and_then(|model| model.window)),
        only,
    }
}

fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let name = |path: PathBuf| {
        path.extension()
            .is_some_and(|end| end == "yaml")
            .then(|| path.file_stem()?.to_str().map(str::to_owned))
            .flatten()
    };
    entries.filter_map(|entry| name(entry.path())).map(|name| format!("script/{name}")).collect()
}

/// Plays scripts by name, each loaded once.
struct Scripts {
    dir: Option<PathBuf>,
    loaded: Mutex<HashMap<String, Arc<Script>>>,
}

impl Scripts {
    fn find(&self, model: &str) -> Result<Arc<Script>, Error> {
        let name = model.strip_prefix("script/").unwrap_or(model);
        let mut loaded = self.loaded.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(script) = loaded.get(name) {
            return Ok(script.clone());
        }
        let invalid = |reason: String| Error::Invalid(reason);
        let file = self.dir.as_ref().map(|dir| dir.join(format!("{name}.yaml"))).filter(|file| file.exists());
        let script = match file {
            Some(file) => {
                let text = std::fs::read_to_string(&file).map_err(|error| invalid(error.to_string()))?;
                Script::parse(name, &text).map_err(|error| invalid(error.to_string()))?
            }
            None => script::builtin(name).ok_or_else(|| invalid(format!("there is no script {name}")))?,
        };
        let script = Arc::new(script);
        loaded.insert(name.to_owned(), script.clone());
        Ok(script)
    }
}

impl Client for Scripts {
    fn stream(&self, request: Request) -> BoxStream<'static, Result<Event, Error>> {
        match self.find(&request.model) {
            Ok(script) => script.stream(request),
            Err(error) => futures::stream::once(std::future::ready(Err(error))).boxed(),
        }
    }
}
