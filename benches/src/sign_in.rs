//! A whole sign-in, as an MCP client and the browser of its user do it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde_json::{Value, json};

use crate::Result;
use crate::connection::{Answer, Connection};

const REDIRECT_URI: &str = "http://127.0.0.1:33418/callback";
/// RFC 7636 appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const STATE: &str = "kJ3nV0xQzT5mA8sB";
/// How many redirects may come between `/authorize` and its page.
const MOST_REDIRECTS: usize = 3;

/// A user with a client and a browser, at an address of their own: a server bounds how often one
/// address may sign in.
#[derive(Debug)]
pub struct User {
    own_address: IpAddr,
    address: SocketAddr,
    server: Connection,
    provider: Connection,
    provider_address: SocketAddr,
    cookies: Vec<(String, String)>,
}

/// What a client has after a sign-in.
#[derive(Clone, Debug)]
pub struct Tokens {
    client_id: String,
    /// The token for the server.
    pub access_token: String,
    refresh_token: String,
}

/// What a browser keeps of an answer.
struct Seen {
    status: u16,
    location: Option<String>,
    body: String,
}

impl User {
    /// The one with this `number`, at `server`, whose users sign in at `provider`.
    ///
    /// # Errors
    ///
    /// When one of the two does not listen.
    pub async fn open(number: usize, server: SocketAddr, provider: SocketAddr) -> Result<Self> {
        // 127.1.0.0 and what follows are this machine.
        let number = u32::try_from(number)?;
        let own = IpAddr::V4(Ipv4Addr::from_bits(Ipv4Addr::new(127, 1, 0, 0).to_bits() + number));
        Ok(Self {
            own_address: own,
            address: server,
            server: Connection::open_from(own, server).await?,
            provider: Connection::open(provider).await?,
            provider_address: provider,
            cookies: Vec::new(),
        })
    }

    /// Opens new connections in place of those that may have been closed.
    ///
    /// # Errors
    ///
    /// When one of the two does not listen.
    pub async fn come_again(&mut self) -> Result<()> {
        self.server = Connection::open_from(self.own_address, self.address).await?;
        self.provider = Connection::open(self.provider_address).await?;
        Ok(())
    }

    /// Registers a client, signs in with a new browser, allows the client all that it asks for, and
    /// redeems the code.
    ///
    /// # Errors
    ///
    /// With the first answer that is not the right one.
    pub async fn sign_in(&mut self) -> Result<Tokens> {
        self.cookies.clear();
        let client_id = self.register().await?;
        let (page_at, page) = self.page(&client_id).await?;
        let url = self.allow(&page_at, &page).await?;
        let back = self.at_provider(&url).await?;
        let code = self.come_back(&back).await?;
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", &client_id),
            ("code", &code),
            ("redirect_uri", REDIRECT_URI),
            ("code_verifier", VERIFIER),
            ("resource", &self.resource()),
        ];
        self.tokens(&client_id, &form).await
    }

    /// Gets the next tokens.
    ///
    /// # Errors
    ///
    /// When they are not given.
    pub async fn refresh(&mut self, tokens: &Tokens) -> Result<Tokens> {
        let form = [
            ("grant_type", "refresh_token"),
            ("client_id", &tokens.client_id),
            ("refresh_token", &tokens.refresh_token),
            ("resource", &self.resource()),
        ];
        let client_id = tokens.client_id.clone();
        self.tokens(&client_id, &form).await
    }

    fn resource(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    async fn register(&mut self) -> Result<String> {
        let metadata = json!({
            "client_name": "A client",
            "redirect_uris": [REDIRECT_URI],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
        });
        let fields = "Content-Type: application/json\r\n";
        let answer = self.send("POST", "/register", fields, &metadata.to_string()).await?;
        if answer.status != 201 {
            return Err(answer.wrong("/register"));
        }
        let registered: Value = serde_json::from_str(&answer.body)?;
        Ok(registered["client_id"].as_str().ok_or("no client_id")?.to_owned())
    }

    /// The page that asks, and where it was in the end.
    async fn page(&mut self, client_id: &str) -> Result<(String, String)> {
        let query = encoded(&[
            ("response_type", "code"),
            ("client_id", client_id),
            ("redirect_uri", REDIRECT_URI),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
            ("state", STATE),
            ("scope", "read"),
            ("resource", &self.resource()),
        ]);
        let mut target = format!("/authorize?{query}");
        for _ in 0..=MOST_REDIRECTS {
            let answer = self.browse("GET", &target, "Sec-Fetch-Site: none\r\n", "").await?;
            match &answer.location {
                None if answer.status == 200 => return Ok((target, answer.body)),
                Some(location) => target = self.own(location)?.to_owned(),
                None => return Err(answer.wrong(&target)),
            }
        }
        Err("a page that never comes".into())
    }

    /// Sends the form of the page with the button that allows; gives the address at the provider.
    async fn allow(&mut self, page_at: &str, page: &str) -> Result<String> {
        let mut form: Vec<_> = inputs(page).collect();
        form.push(button(page).ok_or("the page has no button that allows")?);
        let mut forms = tags(page, "form");
        let action = forms.next().and_then(|form| attribute(form, "action"));
        let target = match action.ok_or("the page has no form")? {
            "" => page_at,
            action => action,
        };
        let fields = format!(
            "Content-Type: application/x-www-form-urlencoded\r\nOrigin: http://{}\r\n\
             Sec-Fetch-Site: same-origin\r\n",
            self.address
        );
        let answer = self.browse("POST", target, &fields, &encoded(&form)).await?;
        // A redirect, or a page with a link that leads on.
        match answer.location {
            Some(location) => Ok(location),
            None if answer.status == 200 => {
                let link = tags(&answer.body, "a").find_map(|link| attribute(link, "href"));
                Ok(link.ok_or("the page has no link")?.replace("&amp;", "&"))
            }
            None => Err(answer.wrong(target)),
        }
    }

    async fn at_provider(&mut self, url: &str) -> Result<String> {
        let origin = format!("http://{}", self.provider_address);
        let target = url.strip_prefix(&origin).ok_or("it leads to another provider")?;
        let request = format!("GET {target} HTTP/1.1\r\nHost: {}\r\n\r\n", self.provider_address);
        let answer = Seen::of(&self.provider.exchange(request.as_bytes()).await?);
        match &answer.location {
            Some(location) => Ok(location.clone()),
            None => Err(answer.wrong("the identity provider")),
        }
    }

    /// The callback; gives the code for the client.
    async fn come_back(&mut self, url: &str) -> Result<String> {
        let target = self.own(url)?;
        let answer = self.browse("GET", target, "Sec-Fetch-Site: cross-site\r\n", "").await?;
        let location = answer.location.as_deref().unwrap_or_default();
        let query = location.strip_prefix(&format!("{REDIRECT_URI}?"));
        let query = query.ok_or_else(|| answer.wrong("the callback"))?;
        let (mut code, mut state) = (None, None);
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "code" => code = Some(value.into_owned()),
                "state" => state = Some(value.into_owned()),
                _ => {}
            }
        }
        if state.as_deref() != Some(STATE) {
            return Err(answer.wrong("the callback"));
        }
        code.ok_or_else(|| answer.wrong("the callback"))
    }

    async fn tokens(&mut self, client_id: &str, form: &[(&str, &str)]) -> Result<Tokens> {
        let fields = "Content-Type: application/x-www-form-urlencoded\r\n";
        let answer = self.send("POST", "/token", fields, &encoded(form)).await?;
        if answer.status != 200 {
            return Err(answer.wrong("/token"));
        }
        let tokens: Value = serde_json::from_str(&answer.body)?;
        let token = |name: &str| -> Result<String> {
            Ok(tokens[name].as_str().ok_or_else(|| format!("no {name}"))?.to_owned())
        };
        Ok(Tokens {
            client_id: client_id.to_owned(),
            access_token: token("access_token")?,
            refresh_token: token("refresh_token")?,
        })
    }

    /// As [`send`](Self::send), with the cookies of the browser, which keeps those that it is given.
    async fn browse(
        &mut self,
        method: &str,
        target: &str,
        fields: &str,
        body: &str,
    ) -> Result<Seen> {
        let cookies: Vec<_> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookie = match cookies.as_slice() {
            [] => String::new(),
            cookies => format!("Cookie: {}\r\n", cookies.join("; ")),
        };
        let navigation =
            "Accept: text/html\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n";
        let fields = format!("{fields}{navigation}{cookie}");
        let request = self.request(method, target, &fields, body);
        let answer = self.server.exchange(request.as_bytes()).await?;
        for set in answer.values("set-cookie") {
            let (pair, attributes) = set.split_once(';').unwrap_or((set, ""));
            let (name, value) = pair.split_once('=').ok_or("a cookie without a name")?;
            self.cookies.retain(|(known, _)| known != name);
            if !attributes.contains("Max-Age=0") {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
        Ok(Seen::of(&answer))
    }

    async fn send(&mut self, method: &str, target: &str, fields: &str, body: &str) -> Result<Seen> {
        let request = self.request(method, target, fields, body);
        Ok(Seen::of(&self.server.exchange(request.as_bytes()).await?))
    }

    fn request(&self, method: &str, target: &str, fields: &str, body: &str) -> String {
        let length = match method {
            "GET" => String::new(),
            _ => format!("Content-Length: {}\r\n", body.len()),
        };
        format!(
            "{method} {target} HTTP/1.1\r\nHost: {}\r\n{fields}{length}\r\n{body}",
            self.address
        )
    }

    /// The target of a URL of the server.
    fn own<'a>(&self, url: &'a str) -> Result<&'a str> {
        let target = url.strip_prefix(&format!("http://{}", self.address));
        Ok(target.ok_or_else(|| format!("not at the server: {url}"))?)
    }
}

impl Seen {
    fn of(answer: &Answer<'_>) -> Self {
        Self {
            status: answer.status,
            location: answer.values("location").next().map(str::to_owned),
            body: String::from_utf8_lossy(answer.body).into_owned(),
        }
    }

    fn wrong(&self, place: &str) -> Box<dyn std::error::Error + Send + Sync> {
        let shown: String = self.body.chars().take(500).collect();
        let location = self.location.as_deref().unwrap_or_default();
        format!("a wrong answer of {place}: {} {location} {shown}", self.status).into()
    }
}

fn encoded<N: AsRef<str>, V: AsRef<str>>(fields: &[(N, V)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// The hidden fields of a page.
fn inputs(page: &str) -> impl Iterator<Item = (&str, &str)> {
    let hidden = tags(page, "input").filter(|tag| attribute(tag, "type") == Some("hidden"));
    hidden.filter_map(|tag| Some((attribute(tag, "name")?, attribute(tag, "value")?)))
}

/// The button that allows.
fn button(page: &str) -> Option<(&str, &str)> {
    let buttons = tags(page, "button");
    buttons
        .filter_map(|tag| Some((attribute(tag, "name")?, attribute(tag, "value")?)))
        .find(|(_, value)| matches!(*value, "allow" | "approve"))
}

/// What stands in the tags of this name: as much HTML as the pages of the servers have.
fn tags<'a>(page: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let tags: Vec<_> = page.split(&format!("<{name} ")).skip(1).collect();
    tags.into_iter().filter_map(|tag| tag.split('>').next())
}

fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let mut attributes = tag.split("=\"").zip(tag.split("=\"").skip(1));
    let found = attributes.find(|(before, _)| before.rsplit([' ', '"']).next() == Some(name));
    found?.1.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_sent_with_its_hidden_fields_and_the_button_that_allows() {
        let page = "<link href=\"x\"><form class=\"a b\" method=\"post\" action=\"/consent\">\n\
                    <input type=\"hidden\" name=\"request\" value=\"a=b\" />\n\
                    <input id=\"user\" name=\"user\" type=\"text\" value=\"\">\n\
                    <button name=\"decision\" value=\"deny\">Deny</button>\n\
                    <button class=\"main\" name=\"decision\" value=\"allow\">Allow</button></form>";
        assert_eq!(tags(page, "form").find_map(|form| attribute(form, "action")), Some("/consent"));
        assert_eq!(inputs(page).collect::<Vec<_>>(), [("request", "a=b")]);
        assert_eq!(button(page), Some(("decision", "allow")));
        assert_eq!(attribute("type=\"text\" formaction=\"/x\"", "action"), None);
    }

    #[test]
    fn a_page_without_the_button_allows_nothing() {
        assert_eq!(button("<button name=\"decision\" value=\"deny\">"), None);
    }
}
