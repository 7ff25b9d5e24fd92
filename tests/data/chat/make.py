#!/usr/bin/env python3
"""Renders the templates below with Jinja2 as chat templates are rendered, and writes cases.json: what our own renderer
is held against. Needs the package jinja2 (made with 3.1); the tests need only the file.

usage: make.py [FILE]
"""

import json
import sys
from pathlib import Path

from jinja2.sandbox import ImmutableSandboxedEnvironment

VARIABLES = {
    "bos_token": "<s>",
    "messages": [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Hi, \"you\"\n\\ é 中 😀"},
        {"role": "assistant", "content": "<think>\nhm\n</think>\n\nHello", "tool_calls": []},
    ],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"a": 1, "b": [1.5, True, None], "c": {}}}}],
    "name": "Ada", "empty": "", "zero": 0, "three": 3, "half": 0.5, "big": 1e22, "whole": 2.0, "yes": True, "no": False,
    "nothing": None, "list": [3, 1, 2], "words": ["a", "b", "c"], "map": {"k": "v", "items": 1, "n": {"x": 2}}, "nested": [[1, 2], [3, 4]],
}

# White space around tags, under trim_blocks and lstrip_blocks.
BLANKS = [
    "a\n", "a\n\n", "", "\n", "a {# c #} b", "a\n  {# c #}\nb", "a\n  {#- c -#}  \nb", "a {%- if yes %} b {%- endif %} c",
    "{% if yes %}\nx\n{% endif %}\ny", "  {% if yes %}x{% endif %}  \n  y", "x {% if yes %}\n  y\n  {% endif %}\nz",
    "a\n  {%+ if yes %}b{% endif %}", "a{% if yes +%}\nb{% endif %}", "a\n {{ name }}\n b", "a\n {{- name -}} \n b",
    "{% if yes -%}\n\n  a\n{%- endif %}\n", "{{ 'a' }}\n{{ 'b' }}\n", "a\r\nb\rc", "{%- for m in words -%} {{ m }} {%- endfor -%} ",
    "{% for m in words %}\n- {{ m }}\n{% endfor %}\n", "{% if no %}\na\n{% elif yes %}\nb\n{% else %}\nc\n{% endif %}",
    "  {# one #}  {% if yes %} a {% endif %}", "{% if yes %}{# c #}\n{% endif %}x", "\t {% set a = 1 %}\n\t {{ a }}",
    "{#- x -#} a", "{% set a = 1 -%}   \n   {{ a }}", "a\u00a0 {%- if yes %}b{% endif %}", "{ { % a } } %} }}", "{{ {'a': {'b': 1}}['a']['b'] }}",
    "a\u2028  {% if yes %}b{% endif %}", "{% if yes %}\n\n a{% endif %}",
]
# What stands between the tags.
STATEMENTS = [
    "{% set ns = namespace(n=0, t='') %}{% for x in list %}{% set ns.n = ns.n + x %}{% set ns.t = ns.t ~ x %}{% endfor %}{{ ns.n }} {{ ns.t }}",
    "{% set x = 1 %}{% for i in words %}{% set x = x + 1 %}{{ x }}{% endfor %}{{ x }}",
    "{% set x = 1 %}{% if yes %}{% set x = 2 %}{% endif %}{{ x }}", "{% for i in [] %}a{% else %}none{% endfor %}",
    "{% for i in list if i > 1 %}{{ loop.index }}/{{ loop.length }}:{{ i }} {% endfor %}",
    "{% for i in words %}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }},{% endfor %}",
    "{% for i in words %}{{ loop.previtem }}-{{ loop.nextitem }};{% endfor %}", "{% for a, b in nested %}{{ a }}+{{ b }} {% endfor %}",
    "{% for k, v in map.items() %}{{ k }}={% if v is not mapping %}{{ v }}{% endif %};{% endfor %}", "{% for k in map %}{{ k }},{% endfor %}",
    "{% for c in 'aé😀' %}[{{ c }}]{% endfor %}", "{% for i in range(3) %}{{ i }}{% endfor %}{% for i in range(5, 0, -2) %}{{ i }}{% endfor %}",
    "{% for i in words %}{% for j in words %}{{ loop.index }}{% endfor %}{{ loop.index }};{% endfor %}",
    "{% for i in range(9) %}{% if i == 2 %}{% continue %}{% endif %}{% if i == 5 %}{% break %}{% endif %}{{ i }}{% endfor %}",
    "{% macro m(a, b='B', c=none) %}<{{ a }}{{ b }}{{ c }}>{% endmacro %}{{ m(1) }}{{ m(1, 2) }}{{ m(b=3, a=4) }}{{ m() }}",
    "{% macro m(x) %}\n  {{- x -}}\n{% endmacro %}{{ m('a') | upper }}{{ m('b') ~ '!' }}", "{% set t %}a {{ name }}{% endset %}[{{ t }}]{{ t | length }}",
    "{% set a, b = 1, 2 %}{{ a }}{{ b }}", "{% set a = [1, 2] %}{{ a[0] }}{{ a | length }}", "{% for m in messages[::-1] %}{{ m.role }} {% endfor %}",
    "{% for m in messages[1:] %}{{ m['role'] }}{% if not loop.last %}, {% endif %}{% endfor %}", "{{ raise }}",
    "{% if not add is defined %}{% set add = false %}{% endif %}{{ add }}", "{% for i in missing %}a{% else %}b{% endfor %}",
    "{% set ns = namespace() %}{% if ns.x is not defined %}u{% endif %}{% set ns.x = 1 %}{{ ns.x }}", "{% generation %}a{{ name }}{% endgeneration %}b",
    "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '[' + message['role'] + ']\n' + message['content'] | trim %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}",
    "{% for i in list %}{% if loop.first %}{% set y = i %}{% endif %}{{ y }}|{% endfor %}", "{% for i in words %}{% set loop_i = i %}{% endfor %}{{ loop_i }}",
]
EXPRESSIONS = [
    "1", "-1", "- 1 + 2", "1.5", "1.0", "100000.0", "1e22", "half", "big", "whole", "7 / 2", "6 / 2", "7 // 2", "-7 // 2", "7 % 3", "-7 % 3", "7 % -3", "-7.5 % 2", "2 ** 10", "2 ** -1",
    "1 + 2 * 3", "(1 + 2) * 3", "2 * 'ab'", "'ab' * 0", "'a' + 'b'", "'a' ~ 1 ~ none ~ true ~ 1.5", "'a' 'b'", "1 ~ 2 * 3",
    "yes", "no", "nothing", "true", "True", "none", "None", "missing", "'it\\'s'", '"q\\"q"', "'\\n\\t\\\\|\\x41\\u00e9\\U0001f600\\101\\q'", "'a\nb'",
    "yes and no", "yes or no", "name and empty", "empty or name", "zero or 'z'", "not yes", "not zero", "not not name", "not empty and yes", "nothing or missing or 'd'",
    "1 == 1.0", "1 == true", "'a' == 'a'", "'1' == 1", "none == none", "missing == missing", "[1, 2] == [1, 2]", "(1, 2) == [1, 2]", "{'a': 1} == {'a': 1.0}", "1 != 2",
    "1 < 2 < 3", "1 < 3 < 2", "'a' < 'b'", "2 >= 2", "2 <= 1.5", "half > zero", "'b' >= 'b'", "1 < 2 == true",
    "'a' in 'cat'", "'x' not in 'cat'", "2 in list", "9 in list", "'k' in map", "'v' in map", "not 'k' in map", "'' in 'a'", "1 in [true]", "'x' in missing",
    "messages[0].content", "messages[0]['role']", "messages[-1].role", "messages[9] is defined", "messages[0].nope is defined", "messages[0].nope", "map.k", "map['items']", "map.n.x", "map.get('k')", "map.get('z')", "map.get('z', 'd')",
    "name[0]", "name[-1]", "name[1:]", "name[::-1]", "'aé😀b'[1:3]", "'aé😀b'[2]", "name[9]", "words[1:][0]", "words[-2:] | join", "words[:-1] | join('+')", "words[::2] | join", "words[5:] | length", "words[-9:2] | join", "words[2:0:-1] | join", "list[1]", "list.1",
    "name is defined", "missing is defined", "missing is undefined", "nothing is none", "nothing is not none", "yes is true", "1 is true", "no is false", "zero is false", "name is string", "1 is string", "1 is integer", "yes is integer", "1.5 is float", "1 is number", "yes is number",
    "map is mapping", "list is mapping", "list is sequence", "'a' is sequence", "map is iterable", "1 is iterable", "yes is boolean", "3 is odd", "3 is even", "9 is divisibleby 3", "1 is eq 1", "2 is in list", "'a' is in('abc')", "missing is iterable", "1 is lt 2", "1 is ne 1",
    "name is defined and name is string", "name is defined == true", "1 if yes else 2", "1 if no else 2", "1 if no", "1 if no else 2 if no else 3", "('a' if yes else 'b') ~ 'c'", "[1, 2][0]", "{'a': 1}.a", "{'a': 1, 'b': 2} | length", "(1,) | length", "() | length",
    "' a ' | trim", "' a ' | trim ~ '|'", "'xxaxx' | trim('x')", "'abc' | length", "'é😀' | length", "list | length", "map | length", "missing | length", "words | join(', ')", "words | join", "messages | join(',', attribute='role')", "'Straße' | upper", "'ÀÉ' | lower", "'ΑΣ' | lower",
    "missing | default('d')", "empty | default('d')", "empty | default('d', true)", "nothing | default('d')", "nothing | d('x', boolean=true)", "words | first", "words | last", "[] | first", "words | list | length", "'abc' | list | join('.')", "list | string | length if no else 0", "1 | string ~ 'x'", "'12' | replace('1', 'x')", "'a.b.c' | replace('.', '')",
    "-3 | abs", "3.7 | int", "words | reverse | join", "'abc' | reverse", "map | items | list | length", "messages | map(attribute='role') | join(',')", "words | map('upper') | join", "messages | selectattr('role', 'equalto', 'user') | list | length", "messages | rejectattr('role', 'eq', 'user') | map(attribute='role') | join", "list | select('odd') | join(',')", "list | reject('gt', 1) | join", "messages | selectattr('tool_calls') | list | length", "messages | selectattr('tool_calls', 'defined') | list | length", "'<b>' | safe",
    "'  a '.strip() ~ '|'", "'xxa'.lstrip('x')", "'a\n\n'.rstrip('\n') ~ '|'", "'a,b,,c'.split(',') | join('|')", "' a  b '.split() | join('|')", "'a b c'.split(' ', 1) | join('|')", "'a b c d'.split(none, 2) | join('|')", "'abc'.startswith('ab')", "'abc'.endswith(('x', 'c'))", "'aXb'.replace('X', '-')", "'aé'.upper()", "'AÉ'.lower()", "''.strip() == ''", "'abc'.strip('')", "messages[2].content.split('</think>')[-1].lstrip('\n')", "'<think>' in messages[2].content", "map.keys() | list | join(',')", "map.n.values() | join",
    "tools | tojson", "tools | tojson(indent=2)", "tools[0] | tojson(indent=0)", "messages[1].content | tojson", "'\x7f\x01/<>&\\'' | tojson", "[] | tojson", "{} | tojson", "[[], {}] | tojson(indent=4)", "half | tojson", "big | tojson", "[1, 'a', none, true, 2.0] | tojson", "'é' | tojson(ensure_ascii=false)", "(1, 2) | tojson", "1e-7 if no else 0.00001", "0.0001", "123456789012345.678", "9007199254740993", "10 ** 15 * 1.0", "10 ** 16 * 1.0",
    "messages | length - 1", "(messages | length - 1) - 0", "- 2 ** 2", "not name is string", "2 | abs + 1", "name | lower | upper", "words | length > 2 and yes", "'a' if words else 'b'", "messages[0].content + '\n\n'", "messages[0]['content'] is string and not messages[0].tools", "namespace(a=1).a", "range(3) | list | length", "range(2, 4) | join(',')",
]
# What Python prints of lists and mappings, and which kinds of values a list can be.
EXPRESSIONS += [
    "list", "words", "[]", "()", "(1,)", "(1, 'a')", "{}", "map", "nested", "messages", "tools", "[none, true, 1.0, missing]", "['it\\'s', 'a\"b', 'it\\'s \"q\"']", "['\\n\\t\\r\\\\\\x01\\x7f\\x80\\xa0\\xad\\u200b\\u2028\\ue000\\U0001f600é中']",
    "list | string | length", "'' ~ list ~ map.n", "[list] | join", "words | upper", "map.n | string", "map.n | string | replace(\"'\", '')", "nothing | trim", "missing | trim ~ '|'", "3 | trim",
    "map.keys() | length", "map.keys() is sequence", "map.keys() is iterable", "'k' in map.keys()", "1 if {}.keys() else 2", "1 if [] | select else 2", "list | select is iterable", "list | select is sequence", "map.n.items() | list", "words | map('upper') | list", "words | reverse | list", "words | reverse | first", "words | map('upper') | reverse", "map | items | first", "range(3) is sequence", "range(3)[-1]", "range(2, 5)[1:] | list", "range(2) == [0, 1]", "(1,) == [1]",
    "tools | map(attribute='function.name') | join", "nested | map(attribute=1) | list", "nested | map(attribute='0') | list", "tools | selectattr('function.name', '==', 'f') | list | length", "list | select('>=', 2) | list", "list | select('le', 2) | list", "messages | map(attribute='role') | map('upper') | list", "'a' | safe ~ '<'", "'<' | safe is string", "'a' | safe == 'a'", "'<' | safe | length", "missing is callable", "[1] * 2", "(1,) + (2,)",
    "1.0 // 0.1", "-4.0 % 2", "4.0 % -2", "7.5 // -2", "-0.0", "0.0 // 5", "5 % 0.7", "1e308 * 10", "[1e308 * 10] | tojson", "9007199254740993 == 9007199254740992.0", "9007199254740993 > 9007199254740992.0", "[1, [2, (3,)], {'a': [none]}] | tojson",
]
STATEMENTS += [
    "{% for k, v in map.n | items %}{{ k }}{{ v }}{% endfor %}", "{% for x in words | reverse %}{{ loop.length }}{{ x }}{% endfor %}", "{% set g = words | map('upper') %}{% for x in g %}{{ x }}{% endfor %}", "{% for m in list %}{% if loop.nope is undefined and loop is not mapping and loop['index'] == 1 %}{{ m }}{% endif %}{% endfor %}",
]
# Each an error in Jinja; ours has other words, so only that it is one is kept.
ERRORS = [
    "{{ missing.x }}", "{{ missing[0] }}", "{{ 1 + 'a' }}", "{{ none + 'a' }}", "{{ 1 < 'a' }}", "{{ 1 / 0 }}", "{{ missing() }}", "{{ name() }}", "{{ 'a' in 1 }}", "{% for i in 1 %}{% endfor %}", "{% for a, b in [1] %}{% endfor %}", "{% if yes %}", "{% endif %}", "{{ name", "{% if %}{% endif %}", "{{ name | nosuch }}", "{{ name is nosuch }}", "{% nosuch %}", "{{ 'a }}", "{{ (1 }}", "{{ 1 ] }}", "{# a", "{{ }}", "{% set 1 = 2 %}", "{% for x words %}{% endfor %}", "{{ raise_exception('no') }}", "{% macro m(a) %}{% endmacro %}{{ m(1, 2) }}", "{% macro m(a) %}{% endmacro %}{{ m(b=2) }}", "{% set name.x = 1 %}", "{% if yes %}{% else %}{% elif no %}{% endif %}", "{{ $ }}", "{{ 1 is divisibleby 0 }}", "{{ list.append(1) }}", "{{ '%d' % name }}", "{{ range(1000000) | length }}", "{{ -'a' }}", "{{ 'a' | abs }}", "{{ words | join(1, 2, 3) }}", "{{ nothing | length }}",
]

def environment():
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"])

    def raise_exception(message):
        raise ValueError(message)

    env.globals["raise_exception"] = raise_exception
    env.filters["tojson"] = lambda x, ensure_ascii=False, indent=None: json.dumps(x, ensure_ascii=ensure_ascii, indent=indent)
    return env

def main():
    env, cases = environment(), []

    for text in BLANKS + STATEMENTS + ["{{ " + expression + " }}" for expression in EXPRESSIONS]:
        marked = text.replace("{% generation %}", "").replace("{% endgeneration %}", "")
        cases.append({"template": text, "rendered": env.from_string(marked).render(**VARIABLES)})
    for text in ERRORS:
        try:
            env.from_string(text).render(**VARIABLES)
            sys.exit(f"make.py: no error: {text}")
        except Exception:  # any: Jinja's and Python's own
            pass
    out = {"variables": VARIABLES, "cases": cases, "errors": ERRORS}
    path = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent / "cases.json")
    path.write_text(json.dumps(out, ensure_ascii=True, indent=0) + "\n")

main()
