//! A small curve for the terminal.

/// Draws `values` as `height` lines of `width` characters, the largest value on top, with a scale at the left.
/// Values that are not finite are left out.
pub(crate) fn draw(values: &[f64], width: usize, height: usize) -> String {
    const LEVELS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let finite: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    if finite.is_empty() || width == 0 || height == 0 {
        return String::new();
    }
    let columns: Vec<f64> = (0..width.min(finite.len()))
        .map(|column| {
            // Each column shows the mean of its share of the values.
            let columns = width.min(finite.len());
            let (start, end) = (column * finite.len() / columns, (column + 1) * finite.len() / columns);
            finite[start..end].iter().sum::<f64>() / (end - start) as f64
        })
        .collect();
    let low = columns.iter().copied().fold(f64::INFINITY, f64::min);
    let high = columns.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let span = if high > low { high - low } else { 1.0 };
    let steps = (height * (LEVELS.len() - 1)) as f64;
    let filled: Vec<usize> =
        columns.iter().map(|value| ((value - low) / span * (steps - 1.0)).round() as usize + 1).collect();
    (0..height)
        .rev()
        .map(|line| {
            let scale = match line {
                _ if line + 1 == height => format!("{high:.4}"),
                0 => format!("{low:.4}"),
                _ => String::new(),
            };
            let bars: String = filled
                .iter()
                .map(|level| LEVELS[level.saturating_sub(line * (LEVELS.len() - 1)).min(LEVELS.len() - 1)])
                .collect();
            format!("{scale:>8} ┤{bars}\n")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::draw;

    #[test]
    fn falls_where_the_values_fall() {
        let drawn = draw(&[0.6, 0.5, 0.4, 0.3], 10, 2);
        assert_eq!(drawn, "  0.6000 ┤█▃  \n  0.3000 ┤██▆▁\n");
    }

    #[test]
    fn takes_one_value_many_values_and_none() {
        assert_eq!(draw(&[], 10, 2), "");
        assert_eq!(draw(&[f64::NAN], 10, 2), "");
        assert!(draw(&[1.0], 10, 2).contains('▁'));
        let long: Vec<f64> = (0..1000).map(f64::from).collect();
        assert!(draw(&long, 20, 3).lines().all(|line| line.chars().count() == 30));
    }
}
