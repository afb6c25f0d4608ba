//! Which targets a grant covers, and the spellings by which a guest may try to leave it.

use super::*;

fn target(url: &str) -> Target {
    Target::parse(url).unwrap()
}

fn granted(hosts: &[&str], paths: &[&str]) -> Capabilities {
    let own = |list: &[&str]| list.iter().map(ToString::to_string).collect();
    Capabilities {
        http: Some(HttpCapability {
            hosts: own(hosts),
            methods: reads(),
            paths: own(paths),
        }),
        ..Capabilities::default()
    }
}

fn allows(pattern: &str, url: &str) -> bool {
    granted(&[pattern], &["/*"])
        .send("GET", &target(url))
        .is_ok()
}

#[test]
fn nothing_is_sent_without_a_grant() {
    let none = Capabilities::default();
    assert!(none.send("GET", &target("https://example.com/")).is_err());
    assert!(none.secret("TOKEN").is_err());
}

#[test]
fn a_host_is_itself_and_nothing_that_looks_like_it() {
    let is = |url| allows("api.example.com", url);
    assert!(is("https://api.example.com/"));
    assert!(is("HTTPS://API.Example.COM:443/"));
    assert!(is("https://api.example.com./"));
    for other in [
        "https://example.com/",
        "https://api.example.com.evil.org/",
        "https://evilapi.example.com/",
        "https://x.api.example.com/",
        "https://api.example.com:8443/",
        "http://api.example.com/",
        "http://api.example.com:443/",
        "https://api.ex\u{430}mple.com/",
    ] {
        assert!(!is(other), "{other}");
    }
    assert!(allows(
        "b\u{fc}cher.example",
        "https://xn--bcher-kva.example/"
    ));
    assert!(allows("Api.Example.com", "https://api.example.com/"));
}

#[test]
fn a_star_is_every_name_below_and_not_the_name_itself() {
    let is = |url| allows("*.example.com:8443", url);
    assert!(is("https://a.example.com:8443/"));
    assert!(is("https://a.b.example.com:8443/"));
    assert!(!is("https://example.com:8443/"));
    assert!(!is("https://a.example.com/"));
    assert!(!is("https://aexample.com:8443/"));
    assert!(!is("https://10.0.0.1:8443/"));
}

#[test]
fn any_port_is_any_port_of_the_same_scheme() {
    let is = |url| allows("*.example.com:*", url);
    assert!(is("https://a.example.com/") && is("https://a.example.com:8443/"));
    assert!(!is("http://a.example.com:8080/") && !is("https://example.com:8443/"));
    assert!(allows("*:*", "http://127.0.0.1:9000/"));
    let covers = |wide: &str, narrow: &str| {
        let pattern = |text| HostPattern::parse(text).unwrap();
        pattern(wide).covers(&pattern(narrow))
    };
    assert!(covers("*:*", "a.org") && covers("*:*", "127.0.0.1:9000") && covers("*:*", "*:*"));
    assert!(
        !covers("*", "*:*") && !covers("a.org:443", "a.org:*") && !covers("*:*", "http://a.org")
    );
    assert_eq!(
        HostPattern::parse("https://a.org:*").unwrap().to_string(),
        "https://a.org:*"
    );
}

#[test]
fn plain_http_has_to_be_said_but_for_loopback() {
    assert!(allows("http://prometheus:9090", "http://prometheus:9090/"));
    assert!(!allows(
        "http://prometheus:9090",
        "https://prometheus:9090/"
    ));
    assert!(!allows("prometheus:9090", "http://prometheus:9090/"));
    assert!(allows("127.0.0.1:9000", "http://127.0.0.1:9000/"));
    assert!(allows("[::1]:9000", "http://[::1]:9000/"));
    assert!(!allows("https://127.0.0.1:9000", "http://127.0.0.1:9000/"));
    assert!(allows("*", "https://anywhere.example/") && !allows("*", "http://anywhere.example/"));
    let told = granted(&["a.example"], &["/*"])
        .send("GET", &target("http://a.example/"))
        .unwrap_err();
    assert!(told.reason.contains("only over https"), "{told}");
}

#[test]
fn an_address_is_the_same_in_every_spelling() {
    for spelling in ["127.1", "0x7f.1", "2130706433", "0177.0.0.1", "127.0.0.1"] {
        let target = target(&format!("http://{spelling}:9000/"));
        assert_eq!(target.host().to_string(), "127.0.0.1", "{spelling}");
        assert!(!allows(
            "127.0.0.2:9000",
            &format!("http://{spelling}:9000/")
        ));
    }
    assert!(allows("[::ffff:127.0.0.1]:1", "https://[::ffff:7f00:1]:1/"));
}

#[test]
fn what_two_readers_could_take_for_two_hosts_is_no_url() {
    for odd in [
        "https://user@example.com/",
        "https://user:secret@example.com/",
        "https://@example.com/",
        "https://evil.org@example.com/",
        "https://example.com\\@evil.org/",
        "https://example.com\t.evil.org/",
        "https:/example.com/",
        "https:example.com/",
        "https:///example.com/",
        "https://",
        "https://a b/",
        "https://a..b/",
        "https://.example.com/",
        "https://example.com:0/",
        "https://example.com:99999/",
        "https://[::1/",
        "https://1.2.3.4.5/",
        "ftp://example.com/",
        "//example.com/",
        "file:///etc/passwd",
        "",
    ] {
        assert!(Target::parse(odd).is_err(), "{odd:?}");
    }
    let long = format!("https://example.com/{}", "a".repeat(9000));
    assert!(matches!(Target::parse(&long), Err(TargetError::Long(_))));
}

#[test]
fn a_fragment_stays_here_and_the_rest_is_sent() {
    let target = target("https://example.com/a/../b%20c/?q=1&r=%2F#part");
    assert_eq!(target.path_and_query(), "/b%20c/?q=1&r=%2F");
    assert_eq!(target.origin(), "https://example.com");
}

#[test]
fn a_path_is_compared_in_every_way_it_can_be_read() {
    let capabilities = granted(&["h.example"], &["/v1/*", "/status"]);
    let allowed = |path: &str| {
        let url = format!("https://h.example{path}");
        capabilities.send("GET", &target(&url)).is_ok()
    };
    for inside in [
        "/v1/",
        "/v1/a/b?x=/../..",
        "/status",
        "/v1/a/../b",
        "/v1/group%2Fproject",
        "/v1/100%25",
        "/v1/;a=b/c",
        "/other/../v1/a",
    ] {
        assert!(allowed(inside), "{inside}");
    }
    for outside in [
        "/",
        "/v1",
        "/v2/",
        "/statuses",
        "/status/",
        "/v1/../admin",
        "/v1/%2e%2e/admin",
        "/v1/%2E%2e%2fadmin",
        "/v1/..%2fadmin",
        "/v1/..%5cadmin",
        "/v1/%252e%252e%252fadmin",
        "/v1/%25252e%25252e%25252fadmin",
        "/v1/..;/admin",
        "/v1/..;x=1/admin",
        "/v1//../../admin",
        "/%76%31/a",
        "//v1/a",
    ] {
        assert!(!allowed(outside), "{outside}");
    }
}

#[test]
fn a_method_has_to_be_granted() {
    let capabilities = granted(&["h.example"], &["/*"]);
    let to = target("https://h.example/");
    assert!(capabilities.send("HEAD", &to).is_ok());
    let told = capabilities.send("POST", &to).unwrap_err();
    assert!(told.reason.contains("the method POST"), "{told}");
    for method in ["get", "CONNECT", "TRACE", "", "GET /", "A\r\nB"] {
        assert!(!is_method(method), "{method:?}");
    }
    assert!(is_method("PROPFIND"));
}

#[test]
fn a_grant_is_within_what_is_asked_for_or_says_where_not() {
    let asked = granted(&["*.example.com", "a.org:8443", "http://x.net"], &["/v1/*"]);
    let beyond = |hosts: &[&str], paths: &[&str]| granted(hosts, paths).beyond(&asked).len();
    assert_eq!(beyond(&["*.example.com"], &["/v1/*"]), 0);
    assert_eq!(
        beyond(&["b.example.com", "*.c.example.com"], &["/v1/a", "/v1/b/*"]),
        0
    );
    assert_eq!(
        beyond(&["https://b.example.com:443", "http://x.net:80"], &[]),
        0
    );
    assert_eq!(
        beyond(
            &["example.com", "*", "a.org", "http://b.example.com", "x.net"],
            &[]
        ),
        5
    );
    assert_eq!(beyond(&[], &["/v1*", "/*", "/v2/a"]), 3);
    let mut wide = granted(&[], &[]);
    if let Some(http) = &mut wide.http {
        http.methods.push("POST".to_owned());
    }
    wide.secrets.push("TOKEN".to_owned());
    assert_eq!(
        wide.beyond(&asked),
        ["requests with POST", "the secret `TOKEN`"]
    );
    assert_eq!(
        granted(&["a.org"], &["/*"])
            .beyond(&Capabilities::default())
            .len(),
        4
    );
}

#[test]
fn patterns_that_mean_nothing_are_told() {
    for odd in [
        "",
        "*.",
        "*.*",
        "a.*",
        "*a.org",
        "a.org/",
        "a.org:0",
        "a.org:x",
        "ftp://a.org",
        "u@a.org",
        "*.10.0.0.1",
        "a b",
        "[::1",
    ] {
        assert!(HostPattern::parse(odd).is_err(), "{odd:?}");
    }
    for odd in [
        "", "v1", "*", "/a/../b", "/a//b", "/a*b", "/a?b", "/%2e", "/a b",
    ] {
        assert!(check_path_pattern(odd).is_some(), "{odd:?}");
    }
    for fine in ["/", "/*", "/v1/*", "/v1*", "/a/b.json"] {
        assert!(check_path_pattern(fine).is_none(), "{fine:?}");
    }
    let shown = HostPattern::parse("HTTP://X").is_err();
    assert!(shown, "schemes are in lower case");
}
