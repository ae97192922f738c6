//! Queries that are wrong, or may be: of wrong types, cut, or with a character changed. What one server refuses, the other
//! must refuse in the same way.

use crate::generate::Generator;

/// `<v>` is a vector, `<r>` a range, `<s>` a scalar.
const WRONG: &[&str] = &[
    "rate(<v>)",
    "sum(<r>)",
    "sum(<s>)",
    "abs(<s>)",
    "abs(<r>)",
    "<r> + <v>",
    "<s> and <v>",
    "<v> or <s>",
    "\"text\" + 1",
    "-\"text\"",
    "-<r>",
    "topk(<v>, <v>)",
    "topk(<v>)",
    "quantile(\"0.5\", <v>)",
    "count_values(1, <v>)",
    "label_replace(<v>, \"x\")",
    "label_replace(<v>, \"x\", \"$1\", \"job\", \"(\")",
    "label_join(<v>, \"x\")",
    "unknown(<v>)",
    "rate(<v>, 1)",
    "histogram_quantile(<v>)",
    "histogram_quantile(<v>, <v>)",
    "round(<v>, <v>)",
    "time(1)",
    "hour(<v>, <v>)",
    "1 > 2",
    "<v> and bool <v>",
    "<v> + bool <v>",
    "<v> + on(job) group_left(job) <v>",
    "<v> and on(job) group_left <v>",
    "<s> + on(job) <v>",
    "sum by (1) (<v>)",
    "sum(<v>) by",
    "sum by job (<v>)",
    "<v> offset 5m offset 1m",
    "<v> @ 1 @ 2",
    "<v> @ <v>",
    "load @ end",
    "load offset 5",
    "load[0s]",
    "load[5m",
    "load[5m:]",
    "load[5m:0s]",
    "(<v>)[5m]",
    "<r>[5m]",
    "{}",
    "{job=~\".*\"}",
    "{job!=\"x\"}",
    "load{job=~\"(\"}",
    "load{job=api}",
    "load{job==\"api\"}",
    "load{__name__=\"up\"}",
    "load{1job=\"api\"}",
    "5m",
    "",
    "  # nothing",
    "<v> +",
    "<v> <v>",
    "(<v>",
    "<v>)",
    "1 2",
    "0x",
    "1e",
    "'open",
    "<v> ! <v>",
    "<v> = <v>",
    "<r>",
    "\"text\"",
    "load * on(job) temperature",
    "load + ignoring(instance) load",
    "requests_total / on(job) group_left load",
    "label_replace(load, \"instance\", \"x\", \"instance\", \".*\")",
    "label_replace(load, \"\", \"x\", \"instance\", \".*\")",
    "scalar(<s>)",
    "vector(<v>)",
    "predict_linear(<r>)",
    "holt_winters(<r>, 2, 0.5)",
    "holt_winters(<r>, 0.5, -1)",
    "topk(NaN, load)",
    "topk(Inf, load)",
    "absent(<r>)",
    "sort(<v>, <v>)",
    "NaN[5m]",
    "load{job=\"api\",}",
    "load{,}",
    "sum(load,)",
    "sum by (job,) (load)",
    "sum(load) by (job) by (job)",
];

/// A wrong query, or one that became so by a slip of the finger.
pub fn text(of: &mut Generator) -> String {
    if of.random.chance(0.6) {
        let mut out = (*of.random.pick(WRONG)).to_owned();
        while out.contains("<v>") {
            out = out.replacen("<v>", &of.vector(1).text, 1);
        }
        let range = *of.random.pick(&["load[5m]", "requests_total[10m]", "up[5m1s:1m]"]);
        return out.replace("<s>", &of.scalar(0).text).replace("<r>", range);
    }
    let whole: Vec<char> = of.vector(2).text.chars().collect();
    let at = of.random.below(whole.len());
    let mut changed = whole.clone();
    match of.random.below(3) {
        0 => drop(changed.remove(at)),
        1 => changed.insert(at, whole[at]),
        _ => changed.truncate(at),
    }
    changed.into_iter().collect()
}
