//! A report of a training run: one HTML file with everything in it, readable in dark and in light.

use std::fmt::Write;

use plotters::prelude::*;

use crate::failure::Failure;

/// Seen well on dark and on light.
const LINE: RGBColor = RGBColor(0x3b, 0x82, 0xf6);
const TEXT: RGBColor = RGBColor(0x80, 0x80, 0x80);
const GRID: RGBAColor = RGBAColor(0x80, 0x80, 0x80, 0.25);
const SIZE: (u32, u32) = (860, 380);

const STYLE: &str = ":root{color-scheme:light dark}\
    body{font:16px/1.5 system-ui,sans-serif;max-width:54rem;margin:2rem auto;padding:0 1rem}\
    svg{width:100%;height:auto}table{border-collapse:collapse}\
    td,th{padding:.2rem 1.5rem .2rem 0;text-align:left;font-weight:normal}th{opacity:.7}";

/// A page with a curve of loss over rows and a table of figures, each a name and a value.
pub(crate) fn page(title: &str, curve: &[(u64, f64)], figures: &[(&str, String)]) -> Result<String, Failure> {
    let svg = plot(curve).map_err(|error| Failure::Failed(format!("cannot draw the curve: {error}")))?;
    let mut rows = String::new();
    for (name, value) in figures {
        // Writing into a string does not fail.
        let _ = write!(rows, "<tr><th scope=\"row\">{}</th><td>{}</td></tr>", escaped(name), escaped(value));
    }
    let title = escaped(title);
    Ok(format!(
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><style>{STYLE}</style></head><body>\
         <h1>{title}</h1><h2>Progressive log loss over rows learned from</h2>{svg}\
         <table>{rows}</table></body></html>\n"
    ))
}

fn plot(curve: &[(u64, f64)]) -> Result<String, Box<dyn std::error::Error>> {
    let points: Vec<(f64, f64)> = curve
        .iter()
        .filter(|(_, loss)| loss.is_finite())
        .map(|(rows, loss)| (*rows as f64 / 1e6, *loss))
        .collect();
    let Some((last, _)) = points.last().copied() else {
        return Ok("<p>There was too little to plot.</p>".into());
    };
    let low = points.iter().map(|point| point.1).fold(f64::INFINITY, f64::min);
    let high = points.iter().map(|point| point.1).fold(f64::NEG_INFINITY, f64::max);
    let margin = ((high - low) * 0.08).max(1e-3);
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let mut chart = ChartBuilder::on(&area)
            .margin(12)
            .x_label_area_size(44)
            .y_label_area_size(64)
            .build_cartesian_2d(0.0..last, low - margin..high + margin)?;
        chart
            .configure_mesh()
            .x_desc("million rows")
            .y_desc("log loss")
            .label_style(("sans-serif", 14, &TEXT))
            .axis_style(TEXT)
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .draw()?;
        chart.draw_series(LineSeries::new(points, LINE.stroke_width(2)))?;
        area.present()?;
    }
    Ok(svg)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_holds_curve_and_figures_and_nothing_from_outside() {
        let curve = [(1000, 0.6), (2000, 0.5), (3000, 0.45)];
        let html = page("a <title>", &curve, &[("AUC", "0.75 & more".to_owned())]).unwrap();
        assert!(
            html.contains("<polyline")
                && html.contains("0.75 &amp; more")
                && html.contains("a &lt;title&gt;")
        );
        // The only address is the name of the SVG dialect.
        assert_eq!(html.matches("http").count(), html.matches("http://www.w3.org/2000/svg").count());
    }

    #[test]
    fn a_run_without_points_has_a_page_too() {
        assert!(page("short", &[], &[]).unwrap().contains("too little"));
    }
}
