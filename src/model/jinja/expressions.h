// The kinds of expressions, made by the parser.
#pragma once
#include <string>
#include <vector>

#include "model/jinja/syntax.h"

namespace gracemoe::jinja {

ExpressionPtr literal(int line, Value value);
ExpressionPtr name(int line, std::string name);
ExpressionPtr list_of(int line, std::vector<ExpressionPtr> items, bool tuple);
// keys and values, in turn.
ExpressionPtr dict_of(int line, std::vector<ExpressionPtr> items);
ExpressionPtr negative(int line, ExpressionPtr operand, bool minus);
ExpressionPtr logical_not(int line, ExpressionPtr operand);
ExpressionPtr logical(int line, bool is_and, ExpressionPtr left, ExpressionPtr right);
// + - * / // % ** ~
ExpressionPtr arithmetic(int line, std::string symbol, ExpressionPtr left, ExpressionPtr right);
// a < b <= c: each of == != < <= > >= in "not in" between two operands.
ExpressionPtr comparison(int line, std::vector<std::string> symbols,
                         std::vector<ExpressionPtr> operands);
// `otherwise` may be null: undefined.
ExpressionPtr conditional(int line, ExpressionPtr condition, ExpressionPtr then,
                          ExpressionPtr otherwise);
ExpressionPtr attribute(int line, ExpressionPtr object, std::string name);
ExpressionPtr subscript(int line, ExpressionPtr object, ExpressionPtr index);
// Each bound may be null.
ExpressionPtr slice(int line, ExpressionPtr object, ExpressionPtr from, ExpressionPtr to,
                    ExpressionPtr step);
ExpressionPtr call(int line, ExpressionPtr function, ArgumentList arguments);
// Errors: no such filter or test.
ExpressionPtr filter(const Place& at, ExpressionPtr operand, std::string name,
                     ArgumentList arguments);
ExpressionPtr test(const Place& at, ExpressionPtr operand, std::string name,
                   ArgumentList arguments);

}  // namespace gracemoe::jinja
