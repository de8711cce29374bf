//! Where the cluster is, and who this server is there: from a kubeconfig, or from what every pod is given.

use std::{
    fs,
    path::{Path, PathBuf},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use reqwest::Url;
use serde::Deserialize;

/// What a cluster leaves in each pod of an account.
const GIVEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{}: {error}", path.display())]
    Unreadable { path: PathBuf, error: std::io::Error },
    #[error("the kubeconfig is not understood: {0}")]
    Malformed(String),
    #[error("the kubeconfig has no {kind} {name:?}")]
    Unknown { kind: &'static str, name: String },
    #[error("the kubeconfig asks for {0}, which is not supported")]
    Unsupported(&'static str),
    #[error("this is no pod of a cluster: set `kubernetes.kubeconfig`")]
    Outside,
    #[error("{0} is no place to send a token to without TLS")]
    Open(String),
}

/// Holds secrets, and so cannot be printed.
pub(crate) struct Access {
    pub(crate) server: Url,
    pub(crate) namespace: Option<String>,
    /// Certificates of authorities, in PEM. None: the machine's own.
    pub(crate) authorities: Option<Vec<u8>>,
    /// A certificate of this server's with its key, in PEM.
    pub(crate) identity: Option<Vec<u8>>,
    token: Token,
}

enum Token {
    None,
    Fixed(String),
    /// Read for each request, for it changes.
    File(PathBuf),
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Kubeconfig {
    current_context: String,
    contexts: Vec<NamedContext>,
    clusters: Vec<NamedCluster>,
    users: Vec<NamedUser>,
}

#[derive(Deserialize)]
struct NamedContext {
    name: String,
    context: Context,
}

#[derive(Deserialize)]
struct Context {
    cluster: String,
    user: String,
    namespace: Option<String>,
}

#[derive(Deserialize)]
struct NamedCluster {
    name: String,
    cluster: Cluster,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Cluster {
    server: String,
    certificate_authority: Option<PathBuf>,
    certificate_authority_data: Option<String>,
    #[serde(default)]
    insecure_skip_tls_verify: bool,
    tls_server_name: Option<String>,
    proxy_url: Option<String>,
}

#[derive(Deserialize)]
struct NamedUser {
    name: String,
    user: User,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct User {
    token: Option<String>,
    #[serde(rename = "tokenFile")]
    token_file: Option<PathBuf>,
    client_certificate: Option<PathBuf>,
    client_certificate_data: Option<String>,
    client_key: Option<PathBuf>,
    client_key_data: Option<String>,
    exec: Option<serde::de::IgnoredAny>,
    auth_provider: Option<serde::de::IgnoredAny>,
    username: Option<String>,
}

impl Access {
    pub(crate) fn find(kubeconfig: Option<&Path>) -> Result<Self, Error> {
        let access = match kubeconfig {
            Some(path) => Self::configured(path)?,
            None => Self::given()?,
        };
        let is_here = matches!(access.server.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"));
        match access.server.scheme() {
            "https" => Ok(access),
            "http" if is_here => Ok(access),
            _ => Err(Error::Open(access.server.to_string())),
        }
    }

    /// The token of the next request. One that cannot be read is as good as none: the cluster says so.
    pub(crate) fn token(&self) -> Option<String> {
        match &self.token {
            Token::None => None,
            Token::Fixed(token) => Some(token.clone()),
            Token::File(path) => match fs::read_to_string(path) {
                Ok(token) => Some(token.trim().to_owned()),
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "the token for the cluster cannot be read");
                    None
                }
            },
        }
    }

    fn configured(path: &Path) -> Result<Self, Error> {
        let text = String::from_utf8(read(path)?).map_err(|error| Error::Malformed(error.to_string()))?;
        let config: Kubeconfig = serde_saphyr::from_str(&text).map_err(|error| Error::Malformed(error.to_string()))?;
        let unknown = |kind, name: &str| Error::Unknown { kind, name: name.to_owned() };
        let wanted = config.current_context;
        let context = config.contexts.into_iter().find(|context| context.name == wanted);
        let Context { cluster, user, namespace } = context.ok_or_else(|| unknown("context", &wanted))?.context;
        let found = config.clusters.into_iter().find(|known| known.name == cluster);
        let cluster = found.ok_or_else(|| unknown("cluster", &cluster))?.cluster;
        let found = config.users.into_iter().find(|known| known.name == user);
        let user = found.ok_or_else(|| unknown("user", &user))?.user;
        if cluster.insecure_skip_tls_verify {
            return Err(Error::Unsupported("a server that nobody has certified (insecure-skip-tls-verify)"));
        }
        if cluster.tls_server_name.is_some() {
            return Err(Error::Unsupported("a server of another name (tls-server-name)"));
        }
        if cluster.proxy_url.is_some() {
            return Err(Error::Unsupported("a proxy (proxy-url)"));
        }
        if user.exec.is_some() || user.auth_provider.is_some() {
            return Err(Error::Unsupported(
                "a program that gets a token (exec, auth-provider): use an account's token",
            ));
        }
        if user.username.is_some() {
            return Err(Error::Unsupported("a user's name and password"));
        }
        // Paths in it are relative to itself.
        let beside = path.parent().unwrap_or(Path::new("."));
        let material = |data: Option<String>, file: Option<PathBuf>| match (data, file) {
            (Some(data), _) => {
                let decoded = BASE64_STANDARD.decode(data.trim());
                decoded.map(Some).map_err(|error| Error::Malformed(error.to_string()))
            }
            (None, Some(file)) => read(&beside.join(file)).map(Some),
            (None, None) => Ok(None),
        };
        let certificate = material(user.client_certificate_data, user.client_certificate)?;
        let key = material(user.client_key_data, user.client_key)?;
        let identity = match (certificate, key) {
            (Some(certificate), Some(key)) => Some([certificate, b"\n".to_vec(), key].concat()),
            (None, None) => None,
            _ => return Err(Error::Malformed("a client certificate and a key go together".into())),
        };
        let token = match (user.token, user.token_file) {
            (Some(token), _) => Token::Fixed(token),
            (None, Some(file)) => Token::File(beside.join(file)),
            (None, None) => Token::None,
        };
        let authorities = material(cluster.certificate_authority_data, cluster.certificate_authority)?;
        Ok(Self { server: url(&cluster.server)?, namespace, authorities, identity, token })
    }

    fn given() -> Result<Self, Error> {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty()).ok_or(Error::Outside);
        let (host, port) = (variable("KUBERNETES_SERVICE_HOST")?, variable("KUBERNETES_SERVICE_PORT")?);
        let host = if host.contains(':') { format!("[{host}]") } else { host };
        let at = |name| Path::new(GIVEN).join(name);
        let namespace = fs::read_to_string(at("namespace")).ok().map(|namespace| namespace.trim().to_owned());
        Ok(Self {
            server: url(&format!("https://{host}:{port}"))?,
            namespace,
            authorities: Some(read(&at("ca.crt"))?),
            identity: None,
            token: Token::File(at("token")),
        })
    }
}

fn url(text: &str) -> Result<Url, Error> {
    Url::parse(text).map_err(|error| Error::Malformed(format!("{text}: {error}")))
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|error| Error::Unreadable { path: path.to_owned(), error })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(cluster: &str, user: &str) -> Result<Access, Error> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config");
        fs::write(directory.path().join("ca.crt"), "authority").unwrap();
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: here\npreferences: {{}}\n\
             contexts:\n- name: here\n  context: {{ cluster: one, user: me, namespace: agents }}\n\
             clusters:\n- name: one\n  cluster: {{ {cluster} }}\n\
             users:\n- name: me\n  user: {{ {user} }}\n"
        );
        fs::write(&path, text).unwrap();
        Access::find(Some(&path))
    }

    #[test]
    fn a_kubeconfig_says_where_and_who() {
        let access = found("server: 'https://cluster:6443', certificate-authority: ca.crt", "token: secret").unwrap();
        assert_eq!(access.server.as_str(), "https://cluster:6443/");
        assert_eq!(access.namespace.as_deref(), Some("agents"));
        assert_eq!(access.authorities.as_deref(), Some(&b"authority"[..]));
        assert_eq!(access.token().as_deref(), Some("secret"));

        let access =
            found("server: 'https://cluster'", "client-certificate-data: YQ==, client-key-data: Yg==").unwrap();
        assert_eq!(access.identity.as_deref(), Some(&b"a\nb"[..]));
        assert_eq!(access.token(), None);
    }

    #[test]
    fn what_is_not_supported_is_refused_by_name() {
        let refused = |cluster: &str, user: &str| found(cluster, user).err().unwrap().to_string();
        let server = "server: 'https://cluster'";
        assert!(refused(&format!("{server}, insecure-skip-tls-verify: true"), "token: t").contains("insecure-skip"));
        assert!(refused(&format!("{server}, proxy-url: 'http://p'"), "token: t").contains("proxy-url"));
        assert!(refused(server, "exec: { command: login }").contains("exec"));
        assert!(refused("server: 'http://10.0.0.1'", "token: t").contains("without TLS"));
        assert!(refused(server, "client-key-data: Yg==").contains("go together"));
    }
}
