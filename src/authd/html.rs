//! Text into pages: escaped, cleaned, and under a policy that runs no script.

use axum::body::Body;
use axum::response::Response;
use glasshouse_core::text;
use http::{HeaderValue, StatusCode, header};

/// Text from elsewhere as it may stand in a page: cleaned of what steers a reader, cut, escaped.
pub(crate) fn shown(text: &str) -> String {
    escaped(&text::clean(text))
}

/// Text as it must survive a form: escaped, but whole.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

/// A whole page. `form_target`: where, beside this server, its form may lead; browsers hold the redirect that answers
/// a form to the same policy.
pub(crate) fn page(
    status: StatusCode,
    title: &str,
    body: &str,
    form_target: Option<&str>,
) -> Response {
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<link rel=\"stylesheet\" href=\"/style.css\">\n</head>\n\
         <body>\n<main>\n<h1>{title}</h1>\n{body}\n</main>\n</body>\n</html>\n",
    );
    let mut response = Response::new(Body::from(html));
    *response.status_mut() = status;
    let policy = format!(
        "default-src 'none'; style-src 'self'; form-action 'self' {}; frame-ancestors 'none'; base-uri 'none'",
        form_target.unwrap_or_default(),
    );
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    let policy = HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static(
        "default-src 'none'; frame-ancestors 'none'",
    ));
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    guard(&mut response);
    response
}

/// The headers that every answer of this server carries.
pub(crate) fn guard(response: &mut Response) {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Not `no-referrer`: browsers would then send `Origin: null` with our own forms.
        (header::REFERRER_POLICY, "same-origin"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
}

/// The one style sheet.
pub(crate) const STYLE: &str = "\
body{font:1rem/1.5 system-ui,sans-serif;margin:0;background:#f4f6f7;color:#16212b}\
main{max-width:34rem;margin:3rem auto;padding:1.5rem 2rem;background:#fff;border:1px solid #cfd8dd;border-radius:.5rem}\
h1{font-size:1.3rem;margin-top:0}label{display:block;margin:.6rem 0}\
input[type=text],input[type=password]{display:block;width:100%;box-sizing:border-box;padding:.4rem;font:inherit}\
button{font:inherit;padding:.4rem 1.2rem;margin:.8rem .6rem 0 0}\
fieldset{border:1px solid #cfd8dd;border-radius:.3rem}.warn{color:#8a1c1c}code{word-break:break-all}\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_stranger_writes_becomes_markup() {
        let hostile = "<script>alert('x')</script>\u{202e}\"onload=\u{0}&amp;";
        let seen = shown(hostile);
        assert_eq!(
            seen,
            "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&quot;onload=&amp;amp;"
        );
    }
}
