//! A text as a QR code, for another device to photograph.

use qrcode::{Color, EcLevel, QrCode};

/// So many modules of white around it: without them cameras do not find it.
const QUIET: usize = 4;

/// The code as an SVG document of black on white, one unit a module; `None` when the text is too long for any code. It has no
/// style of its own, so that the strictest page can show it.
#[must_use]
pub fn svg(text: &str) -> Option<String> {
    let code = QrCode::with_error_correction_level(text, EcLevel::M).ok()?;
    let (width, colors) = (code.width(), code.to_colors());
    let size = width + 2 * QUIET;
    let mut path = String::new();
    for (y, row) in colors.chunks(width).enumerate() {
        let mut x = 0;
        for run in row.chunk_by(|one, next| one == next) {
            if run.first() == Some(&Color::Dark) {
                let (from, top, long) = (x + QUIET, y + QUIET, run.len());
                path.push_str(&format!("M{from} {top}h{long}v1h-{long}z"));
            }
            x += run.len();
        }
    }
    Some(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {size} {size}\" shape-rendering=\"crispEdges\">\
         <path fill=\"#fff\" d=\"M0 0h{size}v{size}H0z\"/><path d=\"{path}\"/></svg>"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_module_is_drawn_where_it_is() {
        let text = "https://companion.example.org/link#0123456789abcdef";
        let code = QrCode::with_error_correction_level(text, EcLevel::M).unwrap();
        let drawn = svg(text).unwrap();
        let path = drawn.rsplit("d=\"").next().unwrap().split('"').next().unwrap();
        let mut dark = std::collections::BTreeSet::new();
        for run in path.split('M').skip(1) {
            let numbers: Vec<usize> = run
                .split(|c: char| !c.is_ascii_digit())
                .filter(|part| !part.is_empty())
                .map(|part| part.parse().unwrap())
                .collect();
            dark.extend((0..numbers[2]).map(|more| (numbers[0] + more, numbers[1])));
        }
        let width = code.width();
        for (x, y) in (0..width).flat_map(|x| (0..width).map(move |y| (x, y))) {
            let drawn = dark.remove(&(x + QUIET, y + QUIET));
            assert_eq!(drawn, code[(x, y)] == Color::Dark, "{x} {y}");
        }
        assert!(dark.is_empty(), "{dark:?}");
    }

    #[test]
    fn what_no_code_holds_is_none() {
        assert_eq!(svg(&"a".repeat(3000)), None);
    }
}
