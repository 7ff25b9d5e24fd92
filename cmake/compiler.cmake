# Warnings, and the sanitizers a preset asks for. Instruction sets are never chosen here: kernels choose at run time.
add_library(gm_options INTERFACE)
target_compile_options(gm_options INTERFACE -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual
                       -Wno-restrict)  # g++ 12 reports operator+ of std::string (its bug 105651)
if(GRACEMOE_WERROR)
  target_compile_options(gm_options INTERFACE -Werror)
endif()
if(GRACEMOE_SANITIZE)
  target_compile_options(gm_options INTERFACE -fsanitize=${GRACEMOE_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(gm_options INTERFACE -fsanitize=${GRACEMOE_SANITIZE})
  if(GRACEMOE_SANITIZE MATCHES "undefined")
    target_compile_options(gm_options INTERFACE -fno-sanitize-recover=undefined)
  endif()
endif()
target_include_directories(gm_options INTERFACE ${PROJECT_SOURCE_DIR}/src)
# A sum must not depend on whether the compiler fused a product into it: contraction is asked for where wanted.
target_compile_options(gm_options INTERFACE -ffp-contract=off)
